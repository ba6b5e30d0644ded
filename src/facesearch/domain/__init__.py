"""Values that mirror AWS: bounding boxes, landmarks, FaceDetail, users, faces, reasons. They know no model and no store."""
