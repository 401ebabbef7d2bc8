package update

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/whence-project/whence/internal/watch"
)

// state is what is remembered of a file beside it, so that it is known after a restart and to other processes that have the folder.
type state struct {
	Key      string    `json:"key,omitempty"`           // what ETag and Modified belong to
	ETag     string    `json:"etag,omitempty"`          // as the server gave it
	Modified string    `json:"last_modified,omitempty"` // likewise
	Checked  time.Time `json:"checked,omitzero"`        // when the server last said what is current
	Changed  time.Time `json:"changed,omitzero"`        // when the file was put in place
	Leave    leave     `json:"leave,omitzero"`          // what the server wants
	Download string    `json:"download,omitempty"`      // SHA-256 of what was downloaded
	SHA256   string    `json:"sha256,omitempty"`        // of the file
	Size     int64     `json:"size,omitempty"`          // of the file, which tells whether it still is the one that was put there
	Time     time.Time `json:"time,omitzero"`           // of its last write, likewise
	Facts    Facts     `json:"facts,omitzero"`
}

// leave is until when a server wants to be left alone.
type leave struct {
	Key   string    `json:"key"` // as state's, of what it was asked for
	Until time.Time `json:"until"`
}

// beside is the name of a file of ours beside the data file, which no pattern takes for data.
func beside(file, ending string) string {
	return filepath.Join(filepath.Dir(file), watch.Own+filepath.Base(file)+ending)
}

// readState is what is remembered of the file. Where it is not the one that was put there, only what the server wants remains.
func readState(file string) *state {
	s := new(state)
	text, err := os.ReadFile(beside(file, ".json"))
	if err != nil || json.Unmarshal(text, s) != nil {
		return new(state)
	}
	info, err := os.Stat(file)
	if err != nil || info.Size() != s.Size || !info.ModTime().Equal(s.Time) {
		return &state{Leave: s.Leave}
	}
	return s
}

// write keeps the state.
func (s *state) write(file string) error {
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	f, err := create(file)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), beside(file, ".json"))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// describe has the state tell of the file as it is now.
func (s *state) describe(file string) error {
	info, err := os.Stat(file)
	if err == nil {
		s.Size, s.Time = info.Size(), info.ModTime()
	}
	return err
}

// Sum is the SHA-256 of a file, in hexadecimal.
func Sum(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
