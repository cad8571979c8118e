"""What a whole video needs besides the stages: masks kept on disk, frames turned in time, time left."""
