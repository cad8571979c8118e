"""The loop's own company: how a run is drawn or pushed, ended, listened to and summed up."""
