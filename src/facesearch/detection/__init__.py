"""Find faces and their geometry: boxes, landmarks, pupils, pose, and the aligned face chip."""
