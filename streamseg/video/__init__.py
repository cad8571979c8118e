"""What a whole video needs besides the stages: masks kept on disk, time turned, time left."""
