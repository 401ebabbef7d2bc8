package whoisreply

import (
	"regexp"
	"strings"

	"golang.org/x/text/language"
)

// The lines at the end of a postal address, as far as their form alone tells what they are.
var (
	postcodeLine = regexp.MustCompile(`^(?:[A-Z]{1,3}-)?(?:\d{4,7}|\d{5}-\d{4}|\d{3} \d{2,3}|\d{2}-\d{3}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d)$`)
	regionLine   = regexp.MustCompile(`^[A-Z]{2,3}$`)
	cityRegion   = regexp.MustCompile(`^(\pL[^\d,]*), ?([A-Z]{2,3})$`)
	cityAndAll   = regexp.MustCompile(`^(\pL[^\d,]*),? ([A-Z]{2}),? +(\d{5}(?:-\d{4})?)$`)
	postcodeCity = regexp.MustCompile(`^(\d{4} ?[A-Z]{2}|(?:[A-Z]{1,2}-)?\d{4,6}|\d{3} \d{2}) +(\pL[^\d,]*)(?:, ([A-Z]{2,3}))?$`)
	street       = regexp.MustCompile(`(?i)\b(?:street|str|st|road|rd|avenue|ave?|boulevard|blvd|parkway|pkwy|drive|dr|lane|ln|way|court|ct|place|pl|` +
		`square|floor|suite|building|route|rue|via|calle|highway|hwy|box)\b`)
)

// countries are names that end addresses, in the spelling of registries.
var countries = func() map[string]bool {
	m := make(map[string]bool)
	for name := range strings.SplitSeq("albania|algeria|argentina|armenia|australia|austria|azerbaijan|bahrain|bangladesh|belarus|belgium|bolivia|"+
		"bosnia and herzegovina|brazil|bulgaria|cambodia|canada|chile|china|colombia|costa rica|croatia|cyprus|czech republic|czechia|"+
		"denmark|ecuador|egypt|estonia|finland|france|georgia|germany|greece|hong kong|hungary|iceland|india|indonesia|iran|iraq|ireland|"+
		"israel|italy|japan|jordan|kazakhstan|kenya|korea|kuwait|kyrgyzstan|latvia|lebanon|libya|liechtenstein|lithuania|luxembourg|macedonia|"+
		"malaysia|malta|mexico|moldova|monaco|morocco|netherlands|the netherlands|new zealand|nigeria|north macedonia|norway|oman|pakistan|"+
		"palestine|panama|paraguay|peru|philippines|poland|portugal|qatar|romania|russia|russian federation|saudi arabia|serbia|singapore|"+
		"slovakia|slovenia|south africa|south korea|spain|sri lanka|sweden|switzerland|syria|taiwan|tanzania|thailand|tunisia|turkey|türkiye|"+
		"uganda|ukraine|united arab emirates|united kingdom|united kingdom of great britain & n. ireland|great britain|england|scotland|wales|"+
		"united states|united states of america|usa|uruguay|uzbekistan|venezuela|vietnam|viet nam|zambia|zimbabwe|belgique|brasil|danmark|"+
		"deutschland|españa|estados unidos|italia|magyarország|méxico|nederland|norge|österreich|perú|polska|românia|schweiz|suisse|suomi|"+
		"sverige|svizzera|türkei|česká republika|россия|украина|україна|日本|中国|台灣|대한민국", "|") {
		m[name] = true
	}
	return m
}()

// isCountry reports whether a line is the name of a country or its code (ISO 3166-1).
func isCountry(s string) bool {
	if len(s) == 2 {
		r, err := language.ParseRegion(s)
		return err == nil && r.IsCountry() && strings.ToUpper(s) == s
	}
	return len(s) < 64 && countries[strings.ToLower(s)]
}

// splitAddress moves what the last lines of an address surely are to fields of their own; what is not sure stays in the address.
func (c *Contact) splitAddress() {
	if !strings.Contains(c.Address, "\n") {
		return
	}
	lines := strings.Split(c.Address, "\n")
	kept := lines[:0]
	for _, l := range lines {
		l = strings.TrimRight(strings.TrimSuffix(l, " null"), " ,")
		if l != "" && l != "-" && l != "." && l != "null" && !strings.EqualFold(l, "n/a") {
			kept = append(kept, l)
		}
	}
	lines = kept
	if n := len(lines); n > 1 && (c.Country == "" && isCountry(lines[n-1]) || strings.EqualFold(c.Country, lines[n-1])) {
		c.Country, lines = lines[n-1], lines[:n-1]
	}
	if n := len(lines); n > 1 && c.City == "" {
		lines = c.splitCity(lines, n)
	}
	c.Address = strings.Join(lines, ", ")
}

// splitCity takes city, state and postal code off the n lines of an address without its country, and returns the rest.
func (c *Contact) splitCity(lines []string, n int) []string {
	last, before := lines[n-1], lines[n-2]
	known := c.PostalCode != "" // it has a key of its own
	switch m := cityAndAll.FindStringSubmatch(last); {
	case m != nil && !known:
		c.City, c.State, c.PostalCode = m[1], m[2], m[3]
		return lines[:n-1]
	case known && regionLine.MatchString(last) && n > 2:
		c.City, c.State = before, last
		return lines[:n-2]
	case known:
		return lines
	case postcodeLine.MatchString(last):
		c.PostalCode = last
		return c.splitRegion(lines[:n-1])
	case postcodeLine.MatchString(before) && n > 2:
		if c.PostalCode = before; regionLine.MatchString(last) {
			c.State = last
			return c.takeCity(lines[:n-2])
		}
		if strings.ContainsAny(last, "0123456789") {
			c.PostalCode = ""
			return lines
		}
		c.City = last
		return lines[:n-2]
	}
	if m := postcodeCity.FindStringSubmatch(last); m != nil && !street.MatchString(m[2]) {
		c.PostalCode, c.City = m[1], m[2]
		if c.State == "" {
			c.State = m[3]
		}
		return lines[:n-1]
	}
	return lines
}

// splitRegion takes city and state off lines that a postal code followed.
func (c *Contact) splitRegion(lines []string) []string {
	n := len(lines)
	if regionLine.MatchString(lines[n-1]) && n > 2 {
		c.State = lines[n-1]
		return c.takeCity(lines[:n-1])
	}
	if m := cityRegion.FindStringSubmatch(lines[n-1]); m != nil {
		c.City, c.State = m[1], m[2]
		return lines[:n-1]
	}
	return c.takeCity(lines)
}

// takeCity takes the last line as the city if it may be one, and something is left for the street.
func (c *Contact) takeCity(lines []string) []string {
	n := len(lines)
	if n < 2 || strings.ContainsAny(lines[n-1], "0123456789,") || street.MatchString(lines[n-1]) {
		return lines
	}
	c.City = lines[n-1]
	return lines[:n-1]
}
