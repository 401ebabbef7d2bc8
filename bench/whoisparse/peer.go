package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"github.com/whence-project/whence/bench/whoisparse/score"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// peerReading is what a peer says of a reply, a JSON object a line.
type peerReading struct {
	whoisreply.Reply
	Class        string
	Microseconds float64
}

// classes are the classes by name.
var classes = func() map[string]whoisreply.Class {
	m := make(map[string]whoisreply.Class)
	for c := whoisreply.Error; c <= whoisreply.Unsupported; c++ {
		m[c.String()] = c
	}
	return m
}()

// runPeer scores another parser's readings of the replies at path, by the same rules; its dates must be typed ones.
func runPeer(program, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	samples, err := score.Read(bytes.NewReader(data))
	if err != nil {
		return err
	}
	cmd := exec.Command(program)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(data), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	dec, tally, wrongly := json.NewDecoder(bytes.NewReader(out)), score.NewTally(), 0
	for i := range samples {
		var r peerReading
		if err := dec.Decode(&r); err != nil {
			return fmt.Errorf("%s: reading %d: %w", program, i+1, err)
		}
		r.Reply.Class = classes[r.Class]
		tally.Add(&samples[i], &r.Reply)
		if samples[i].Class == "throttled" && r.Class == "available" {
			wrongly++
		}
	}
	var last peerReading
	if err := dec.Decode(&last); err != nil {
		return fmt.Errorf("%s: no time at the end: %w", program, err)
	}
	fmt.Printf("\n%s: %.1f µs a reply, throttled taken for available: %d\n", program, last.Microseconds, wrongly)
	for _, field := range score.Fields {
		fmt.Printf("peer: %s %.1f%% (%d of %d)\n", field, tally.Percent(field), tally.Right[field], tally.Of[field])
	}
	return nil
}
