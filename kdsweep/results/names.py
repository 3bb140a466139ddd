"""The names of the files of a run: what ``store`` shows as a tree."""

META_FILE, SWEEP_FILE = "run.json", "sweep.yaml"
HOLDER_FILE = "driver.json"
"""Who drives the run, while somebody does."""
JOB_FILE = "job.json"
"""The Ray job that drove it last: it has an output of its own, also when it has ended."""
STOP_FILE = "stop.json"
"""The wish that its driver stops."""
LOG_FILE = "logs/driver.log"
"""What the libraries said, and what went wrong beside the trials."""

TRIALS = "trials"
RESULT_FILE, TRIAL_FILE = "result.json", "trial.yaml"
"""Of a trial: its record, and the file that trains it again."""
CHECKPOINTS, WEIGHTS_FILE = "checkpoints", "student.safetensors"

DAMAGED = "damaged"
"""Where records go that cannot be read."""
