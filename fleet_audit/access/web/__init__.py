"""The page of carriers and analysts: days, findings, contests, files and uploads as HTML, with each reader's rights."""
