"""What an installed plugin brings: found out in a process of its own, and kept.

Reading order: look (what is known of one), index (where it is kept), pending (what is not known yet, and the process
that finds out), process (that process), examine (a plugin is imported there), watching and patches (what it does
meanwhile).
"""
