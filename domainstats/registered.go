package domainstats

import (
	"strings"

	"github.com/whence-project/whence/enrich"
)

// The own fields of the source registration that say what its answer is.
const (
	fieldClass = "registration"     // one of the classes below
	fieldVia   = "registration_via" // rdap, whois, or where it was imported from
)

// The classes of answers. Of all but the first, no registration is known.
const (
	classRegistered  = "registered"
	classAvailable   = "available"
	classReserved    = "reserved"
	classThrottled   = "throttled"
	classBlocked     = "blocked"
	classUnsupported = "unsupported"
	classError       = "error"
)

// registration are the canonical fields that make a WHOIS record.
var registration = [...]enrich.Key{
	enrich.Created, enrich.Updated, enrich.Expires, enrich.Registrar, enrich.NameServers, enrich.RegStatus,
}

// lookupOf is what the source of registrations says of its answer: the class and how it was learnt. Both are empty where no such
// source answered, or where it knows of no registration but another source, such as the operator's own records, does.
func lookupOf(rec *enrich.Record) (class, via string) {
	by := -1
	for i, p := range rec.Parts() {
		fields := p.Fragment.Fields()
		for j := range fields {
			switch f := &fields[j]; {
			case f.Key == fieldClass && class == "":
				class, by = f.Value, i
			case f.Key == fieldVia && via == "":
				via = f.Value
			default:
				continue
			}
			if via != "" && class != "" && isRegistered(class) {
				return class, via
			}
		}
	}
	if !isRegistered(class) {
		for i, p := range rec.Parts() {
			if i != by && p.Fragment.Has(enrich.SetOf(enrich.Created)) {
				return "", ""
			}
		}
	}
	return class, via
}

// isRegistered reports that an answer of this class does not say, or cannot know, that the name is not registered. A reserved name
// may well have a status, which makes no registration of it.
func isRegistered(class string) bool {
	switch class {
	case classAvailable, classReserved, classThrottled, classBlocked, classUnsupported, classError:
		return false
	}
	return true
}

// hasRegistration reports that a registration is known, class and via being those of lookupOf.
func hasRegistration(rec *enrich.Record, class, via string) bool {
	if !isRegistered(class) {
		return false
	}
	for _, k := range registration {
		if rec.Value(k) != "" {
			return true
		}
	}
	return via != ""
}

// viaText is how a registration was learnt, in the words of the formats.
func viaText(via string) string {
	switch via {
	case "rdap":
		return "RDAP"
	case "whois":
		return "WHOIS"
	}
	return via
}

// reasonOf says why the creation date is not known: what the registry answered, else what the source says that could not have it.
func reasonOf(rec *enrich.Record, name, class string, registered bool) string {
	switch class {
	case classAvailable:
		return noRecord + name
	case classReserved:
		return noRecord + name + ": the name is reserved"
	case classUnsupported:
		return "No whois or support for TLD " + name[strings.LastIndexByte(name, '.')+1:] + " "
	}
	kind, text := enrich.Info, ""
	for _, n := range rec.Notes() {
		if n.Kind == enrich.Failed || n.Kind == enrich.Throttled && kind != enrich.Failed || n.Kind == enrich.Unfetched && text == "" {
			kind, text = n.Kind, n.Text
		}
	}
	switch {
	case text != "":
		return text
	case registered:
		return "The registration of " + name + " has no creation date"
	case class == classThrottled:
		return "Nothing is known of " + name + ": its registry asks to wait"
	case class == classBlocked:
		return "Nothing is known of " + name + ": its registry does not answer us"
	case class == classError:
		return "Nothing is known of " + name + ": its registry's answer cannot be read"
	}
	return noRecord + name
}

// noRecord is what format A says, and callers look for.
const noRecord = "No whois record for "
