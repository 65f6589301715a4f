//go:build !unix

package cli

import (
	"os"
	"path/filepath"
)

// lockDir opens the file alone: without flock, a second dev in the directory is
// found out by its ports only.
func lockDir(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
}
