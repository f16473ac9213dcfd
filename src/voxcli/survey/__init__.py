"""`vox data`: what a data set holds, in figures, and which of its utterances are better left out.

sources      what an argument names -> its splits as tables
statistics   tables -> counts of durations, texts, characters, speakers, rates; histogram draws them
recordings   tables -> what is heard in every recording; snr estimates its noise
reasons      tables, recordings and thresholds -> the utterances to leave out, each with its reason
  alike        the same samples under two names, the same text too often
  tongue       texts of another language than they are said to be
cleaned      a data set without them -> a manifest, a list of drops, a list for `[filter] exclude`
"""
