package natstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/whence-project/whence/internal/testenv"
)

const module = "github.com/nats-io/nats-server/v2"

// Binary is the path of the server's program, for programs that are no tests; it is built if it is not there. tool is the folder
// tools/natsserver.
func Binary(tool string) (string, error) { return build(tool) }

// program is the path of the server's program. It is built once on a machine, from the version in tools/natsserver/go.mod, and kept
// in the user's cache folder.
func program(t testing.TB) string {
	t.Helper()
	path, err := build(filepath.Join(testenv.Root(t), "tools", "natsserver"))
	if err != nil {
		testenv.Skip(t, "no NATS server can be built for the test: %v", err)
	}
	return path
}

var (
	builtOnce sync.Once
	built     string
	builtErr  error
)

func build(tool string) (string, error) {
	builtOnce.Do(func() { built, builtErr = buildIn(tool) })
	return built, builtErr
}

func buildIn(tool string) (string, error) {
	version, err := goCommand(tool, "list", "-m", "-f", "{{.Version}}", module)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "whence-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("nats-server-%s-%s", strings.TrimSpace(version), runtime.Version()))
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// Packages are tested at the same time: one builds, the others wait.
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	half := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(half)
	if _, err := goCommand(tool, "build", "-trimpath", "-o", half, module); err != nil {
		return "", err
	}
	return path, os.Rename(half, path)
}

func goCommand(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w: %s", strings.Join(args, " "), dir, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
