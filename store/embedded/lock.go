package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const lockName = "lock"

// InUseError says that another process, or another store of this one, has the folder.
type InUseError struct {
	Dir string
	PID int // 0 where the holder did not say
}

func (e *InUseError) Error() string {
	by := "another process"
	switch {
	case e.PID == os.Getpid():
		by = "this process already"
	case e.PID != 0:
		by = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("the store in %s is in use by %s; stop it, or use another folder", e.Dir, by)
}

// errLocked is what tryLock returns where somebody else has the lock.
var errLocked = errors.New("locked")

// lockFolder locks dir until the file it returns is closed, by Close or by the end of the process. The file itself stays: were
// it removed, two could hold locks on two files of that name.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the store in %s: %w", dir, err)
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("locking the store in %s: %w", dir, err)
		}
		b := make([]byte, 20)
		n, _ := f.ReadAt(b, 0)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
		return nil, &InUseError{Dir: dir, PID: pid}
	}
	// Only the message to others depends on it, so that a full disk is no reason to fail.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}
