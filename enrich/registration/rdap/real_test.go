package rdap

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
	"github.com/whence-project/whence/internal/testenv"
)

// Real answers of many servers: all objects among them are read, and what they plainly have is found.
func TestRealAnswers(t *testing.T) {
	dir := testenv.Path(t, "rdap")
	objects := 0
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var plain struct {
			ObjectClassName string
			Handle          string
			LDHName         string
			Events          []struct{ EventAction string }
			NameServers     []any
			Entities        []struct{ Roles []string }
			StartAddress    string
		}
		if json.Unmarshal(body, &plain) != nil || plain.ObjectClassName == "" {
			if o, err := Decode(body); err == nil {
				t.Errorf("%s: no object, but read as %+v", path, o)
			}
			return nil
		}
		objects++
		o, err := Decode(body)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		if o.Class != plain.ObjectClassName || o.Handle != plain.Handle || len(o.NameServers) != len(plain.NameServers) ||
			o.Start.IsValid() != (plain.StartAddress != "") || o.Start.IsValid() != (len(o.Prefixes) > 0) {
			t.Errorf("%s: read as %+v", path, o)
		}
		for _, e := range plain.Events {
			if e.EventAction == "registration" && o.Created.IsZero() || e.EventAction == "last changed" && o.Updated.IsZero() ||
				e.EventAction == "expiration" && o.Expires.IsZero() {
				t.Errorf("%s: no time of %q", path, e.EventAction)
			}
		}
		for _, e := range plain.Entities {
			for _, role := range e.Roles {
				if role == "registrar" && o.Registrar == "" {
					t.Errorf("%s: no registrar", path)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if objects < 20 {
		t.Errorf("%d objects among the test data, want 20", objects)
	}
}

func TestRealRedaction(t *testing.T) {
	body, err := os.ReadFile(testenv.Path(t, "rdap", "icann", "lookup_with_redaction.json"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		who       string
		got, want whoisreply.ContactFields
	}{
		{"registrant", o.Registrant.Redacted, allFields &^ (whoisreply.ContactState | whoisreply.ContactCountry)},
		{"admin", o.Admin.Redacted, allFields},
		{"tech", o.Tech.Redacted, whoisreply.ContactName | whoisreply.ContactEmail | whoisreply.ContactPhone},
		{"billing", o.Billing.Redacted, allFields},
	} {
		if tt.got != tt.want {
			t.Errorf("withheld of %s: %b, want %b", tt.who, tt.got, tt.want)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	body, err := os.ReadFile(testenv.Path(b, "rdap", "icann", "microsoft.click.json"))
	if err != nil {
		b.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		body []byte
	}{{"registry", body}, {"own", []byte(domainAnswer)}} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(tt.body)))
			for b.Loop() {
				if _, err := Decode(tt.body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
