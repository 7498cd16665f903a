"""The guard at work in one process: report what was counted, judge in turn, break alone without a store."""
