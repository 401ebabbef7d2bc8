//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whence-project/whence/internal/registryfarm"
)

// answer is what a line of /v1/lookup says of a name.
type answer struct {
	Subject     string
	Registrar   string
	Created     time.Time
	Updated     time.Time
	Expires     time.Time
	NameServers []string `json:"name_servers"`
	Status      []string
	Sources     []struct {
		Source string
		Fields registration
	}
	Notes []struct{ Source, Kind, Text string }
}

// registration are the fields of the source that are not canonical.
type registration struct {
	Class        string `json:"registration"`
	Via          string `json:"registration_via"`
	Organization string `json:"registrant_organization"`
	Email        string `json:"registrant_email"`
}

// errNone is that the source has no answer, and says so, which is not a wrong one.
var errNone = errors.New("no answer")

// checkAnswer holds an answer about a name against what its registry knows. A name that nobody has must be available, and nothing else.
func checkAnswer(name, via string, line []byte) error {
	want := registryfarm.Expected(name)
	var got answer
	if err := json.Unmarshal(line, &got); err != nil {
		return fmt.Errorf("%s: %w in %.200q", name, err, line)
	}
	var r registration
	for _, s := range got.Sources {
		if s.Source == "registration" {
			r = s.Fields
		}
	}
	if r.Class == "" {
		return fmt.Errorf("%s: %w: %s", name, errNone, line)
	}
	class := "registered"
	if !want.Registered {
		class = "available"
	}
	var wrong []string
	for _, f := range [...]struct {
		what string
		is   bool
	}{
		{"subject", got.Subject == name},
		{"class", r.Class == class},
		{"protocol", r.Via == via},
		{"registrar", got.Registrar == want.Registrar},
		{"creation", got.Created.Equal(want.Created)},
		{"change", got.Updated.Equal(want.Updated)},
		{"expiry", got.Expires.Equal(want.Expires)},
		{"name servers", sameSet(got.NameServers, want.NameServers)},
		{"status", sameSet(got.Status, want.Status)},
		{"registrant", r.Organization == want.Registrant.Organization && r.Email == want.Registrant.Email},
		{"notes", len(got.Notes) == 0},
	} {
		if !f.is {
			wrong = append(wrong, f.what)
		}
	}
	if wrong != nil {
		return fmt.Errorf("%s: wrong %s in %s", name, strings.Join(wrong, ", "), line)
	}
	return nil
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// verdict is what came of checking a list.
type verdict struct {
	wrong, none int   // answers that are wrong, and names without one
	example     error // the first that is wrong, else the first name without an answer
}

// checkList holds the answers to a list against the names, line by line. It is an error where they do not match in number.
func checkList(names []string, via string, answers []byte) (v verdict, err error) {
	for i, name := range names {
		line, rest, ok := bytes.Cut(answers, []byte("\n"))
		if !ok {
			return v, fmt.Errorf("the answers end before line %d of %d", i+1, len(names))
		}
		switch err := checkAnswer(name, via, line); {
		case errors.Is(err, errNone):
			if v.none++; v.example == nil {
				v.example = err
			}
		case err != nil:
			if v.wrong++; v.wrong == 1 {
				v.example = err
			}
		}
		answers = rest
	}
	if len(answers) > 0 {
		return v, fmt.Errorf("more answers than names: %.80q", answers)
	}
	return v, nil
}
