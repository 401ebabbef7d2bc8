package natsstore

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// positionFile says how far the folder's copy has come. It is beside the embedded store's files.
const positionFile = "nats-position.json"

// position is how far the copy of the ledger in the folder has come.
type position struct {
	Bucket  string    `json:"bucket"`  // that it is a copy of
	Created time.Time `json:"created"` // when that was made: another one of the same name is another bucket
	Seq     uint64    `json:"seq"`     // the last message that is in the copy
	Names   int       `json:"names"`   // that were in the copy then: fewer, and a file of it was lost
	Purges  uint64    `json:"purges"`  // the last message about what is purged from the cache
	At      time.Time `json:"at"`
}

// readPosition is the zero position where there is none, or none that can be read: the copy is made anew then, over what there is.
func readPosition(dir string) (p position, err error) {
	b, err := os.ReadFile(filepath.Join(dir, positionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return position{}, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return position{}, err
	}
	return p, nil
}

// write writes the position, all of it or nothing.
func (p position) write(dir string) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, positionFile)
	f, err := os.CreateTemp(dir, positionFile+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
