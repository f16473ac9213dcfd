"""What happens to training audio, one idea a file; each draws from the generator it is given and from nothing else."""
