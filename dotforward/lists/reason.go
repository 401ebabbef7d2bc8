package lists

import "strconv"

// Reason says why something in a list is not taken in.
type Reason uint8

// The reasons. The first two mean that the list is not what it should be; the others are for what lists have that does not
// concern names.
const (
	NotUnderstood   Reason = iota // no rule in any of the forms
	TooLong                       // a line of more than 64 KiB
	OfTheMachine                  // a hosts file's line for the machine itself, as for localhost
	RealAddress                   // a hosts file's line with an address to answer with
	IsAddress                     // a rule about an address
	Cosmetic                      // hides parts of a page
	PartOfURL                     // a rule about more of a URL than its host
	Expression                    // a regular expression
	Wildcard                      // an asterisk elsewhere than for the labels on the left
	OtherModifier                 // a modifier that only browsers can honour, or one that is not known
	ClientModifier                // a modifier that tells clients apart
	RewriteModifier               // a modifier that makes up answers
	reasons
)

var reasonTexts = [reasons]string{
	NotUnderstood:   "not understood",
	TooLong:         "longer than 64 KiB",
	OfTheMachine:    "a name of the machine itself",
	RealAddress:     "an address to answer with, not to block",
	IsAddress:       "an address, not a name",
	Cosmetic:        "cosmetic",
	PartOfURL:       "about a part of a URL",
	Expression:      "a regular expression",
	Wildcard:        "a wildcard inside a name",
	OtherModifier:   "a modifier of browsers",
	ClientModifier:  "a modifier about clients",
	RewriteModifier: "a modifier about answers",
}

// String is the reason in words.
func (r Reason) String() string {
	if r < reasons {
		return reasonTexts[r]
	}
	return "reason " + strconv.Itoa(int(r))
}

// MarshalText is the reason in words.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Left is what a list has that is not taken in, for one reason.
type Left struct {
	Reason Reason `json:"reason"`
	Count  int    `json:"count"`
	Line   int    `json:"line"` // the first line of them
	Text   string `json:"text"` // of that line, quoted and cut short
}

// report counts what was read.
type report struct {
	lines int // not blank
	rules int
	left  [reasons]Left
}

// leave notes that something in a line is not taken in.
func (r *report) leave(why Reason, line int, text []byte) {
	l := &r.left[why]
	if l.Count++; l.Count == 1 {
		l.Reason, l.Line, l.Text = why, line, show(text)
	}
}

func (r *report) bad() int { return r.left[NotUnderstood].Count + r.left[TooLong].Count }

// all are the reasons for which something was left out, and how much it was in all.
func (r *report) all() (left []Left, count int) {
	for _, l := range r.left {
		if l.Count > 0 {
			left = append(left, l)
			count += l.Count
		}
	}
	return left, count
}

// show quotes a line, as far as it fits a log line.
func show(b []byte) string { return strconv.QuoteToASCII(string(b[:min(len(b), 80)])) }
