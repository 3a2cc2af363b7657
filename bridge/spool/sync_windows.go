package spool

// syncDir does nothing: the file system keeps names durable itself.
func syncDir(string) error { return nil }
