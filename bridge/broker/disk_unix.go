//go:build unix

package broker

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// storeLimit is three quarters of the disk that is free or already taken by the directory. The server's own default leaves out
// what is taken, so that a store that has grown could not be written to after a restart.
func storeLimit(dir string) (int64, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, err
	}
	taken, err := sizeOf(dir)
	if err != nil {
		return 0, err
	}
	free := int64(min(uint64(disk.Bavail)*uint64(disk.Bsize), unlimited))
	return (free + taken) / 4 * 3, nil
}

func sizeOf(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
