package whoisreply

import (
	"slices"
	"strings"
	"testing"
)

func TestBrokenEnds(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Class
	}{
		// so much is there that nothing else can be meant
		{"NOT FOU", Available},
		{"Domain Not Foun", Available},
		{"The domain example.test was not foun", Available},
		{"% No entries fou", Available},
		{"The domain has not been register", Available},
		{"This domain is not available in our whois datab", Available},
		{"Domain: example.test\nStatus: AVAILA", Available},
		{"Domain: example.test\nStatus: fre", Available},
		{"query_status: 220 Availa", Available},
		{"The domain example.test is availa", Available},
		{"Domain name example.test is available!", Available},
		{"El dominio no exis", Available},
		{"未找", Available},
		{"未找\xe5\x88", Available}, // half a character
		{"Домен не найде\xd0", Available},
		{"NOM R\xc9SERV\xc9", Reserved},
		{"Name is reserve", Reserved},
		{"Restric", Reserved},
		{"Domain: example.test\nStatus: RESERV", Reserved},
		{"Domain: example.test\nStatus: UNASSIGNA", Reserved},
		{"Your lookup quota exceed", Throttled},
		{"query_status: 440 Request Den", Throttled},
		{"Please go awa", Throttled},
		{"Your address has been blackli", Blocked},
		{"This TLD is not suppor", Unsupported},
		// two letters of the last word are enough where nothing else is said
		{"No ma", Available},
		{"not fo", Available},
		{"\"example.test\" not fo", Available},
		{"%error 230 No Objects Fo", Available},
		{"The name is not fo", Error}, // "… for sale"
		{"This domain does not ex", Error},
		// it may go on in another way
		{"no m", Error},
		{"not f", Error},
		{"The domain is not reg", Error},
		{"The domain is not regist", Error}, // "…rable"
		{"Domain: example.test\nStatus: f", Error},
		{"Domain: example.test\nStatus: not regist", Error},
		{"Domain: example.test\nStatus: unassign", Error},
		{"Whois server not fou", Error},
		{"A web interface of this server is availa", Error},
		{"Information about example.test is availa", Error},
		{"The name is not be available for reg", Error},
		{"Public: no\nregist", Error},
		// what begins to speak of a limit says nothing of the name
		{"No match for example.test\nToo man", Throttled},
		{"No match for example.test\nToo m", Error},
		{"Status: free\n\nquery in", Error},
		{"Status: free\n\nThe maximum numb", Error},
		// a line end says that the line is whole
		{"NOT FOU\n", Error},
		{"The domain is not regist\n", Available},
		// a registration in sight
		{"Domain: example.test\nRegistrar: Example\nStatus: availa", Registered},
		{"Domain: example.test\nCreated: 2001-02-03\n\nNot fou", Registered},
		{"Domain: example.test\nRegistrar: Example\nStatus: reserv", Reserved},
	} {
		if got := Parse(tt.text, "example.test").Class; got != tt.want {
			t.Errorf("%q: %v, want %v", tt.text, got, tt.want)
		}
	}
}

// What refuses an answer refuses it wherever it breaks off: in no beginning of it is the name available.
func TestBrokenRefusalsAreNeverAvailable(t *testing.T) {
	var texts []string
	for _, s := range slices.Concat(sayings, sayingsElsewhere) {
		if s.class != Available {
			texts = slices.AppendSeq(texts, strings.SplitSeq(s.words, "|"))
		}
	}
	for class, sentences := range told {
		if class != Available {
			texts = slices.AppendSeq(texts, strings.SplitSeq(sentences, "\n"))
		}
	}
	texts = append(texts, doubts[:]...)
	for _, w := range statusWords {
		if statusClass(w) != Available {
			texts = append(texts, "Status: "+w, "Domain: example.test\nquery_status: 440 "+w)
		}
	}
	for _, text := range texts {
		for _, before := range [...]string{"", "% ", "The domain example.test ", "Domain ", "This name ", "example.test: ", "Error 5: "} {
			if Parse(before+text+"\n", "example.test").Class == Available { // "Domain unknown query"
				continue
			}
			for n := 1; n <= len(text); n++ {
				for _, s := range [...]string{before + text[:n], strings.ToUpper(before + text[:n]), before + text[:n] + "  "} {
					if r := Parse(s, "example.test"); r.Class == Available {
						t.Errorf("%q of %q: available", s, before+text)
					}
				}
			}
		}
	}
}

func TestBrokenNameServersAndStatuses(t *testing.T) {
	const head = "Domain: example.test\nCreated: 2001-02-03\n"
	for _, tt := range []struct{ text, servers, status string }{
		{"nserver: ns1.example.net\nnserver: ns2.exampl", "ns1.example.net ns2.example.net", ""},
		{"nserver: ns1.example.net\nnserver: NS2.EXAMPLE.", "ns1.example.net ns2.example.net", ""},
		{"nserver: ns1.example.net\nnserver: ns2.example.net.", "ns1.example.net ns2.example.net", ""},
		{"Name servers:\n ns1.example.net\n ns2.example.n", "ns1.example.net ns2.example.net", ""},
		{"nserver: ns1.example.net\nnserver: ns2.example.n\n", "ns1.example.net", ""},
		{"nserver: ns1.example.net\nnserver: ns2.other.example", "ns1.example.net ns2.other.example", ""},
		{"nserver: ns1.example.net ns2.example.net\n\nnserver: ns1.example.net\nnserver: ns2.exam", "ns1.example.net ns2.example.net", ""},
		{"Status: ok\nStatus: clientTransferProhibi", "", "ok clientTransferProhibited"},
		{"Status: client transfer prohibi", "", "clientTransferProhibited"},
		{"Status: ok\nStatus: clientHold https://ic", "", "ok clientHold"},
		{"Status: clientHold\nStatus: clientHo", "", "clientHold"},
		{"Status: client", "", "client"},
		{"Status: clientTransferProhibi\n", "", "clienttransferprohibi"},
	} {
		r := Parse(head+tt.text, "")
		if got := strings.Join(r.NameServers, " "); got != tt.servers {
			t.Errorf("%q: name servers %q, want %q", tt.text, got, tt.servers)
		}
		if got := strings.Join(r.Status, " "); got != tt.status {
			t.Errorf("%q: status %q, want %q", tt.text, got, tt.status)
		}
	}
}
