"""What a person looks at: tables, pictures, live progress."""
