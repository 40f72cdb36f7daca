"""Work shared by threads or processes, with the results of one."""
