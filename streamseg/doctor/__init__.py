"""Says what this machine can run, and what would mend what it cannot."""

from streamseg.doctor.examination import can_run, examine, to_json, to_text

__all__ = ["can_run", "examine", "to_json", "to_text"]
