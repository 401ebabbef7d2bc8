package registryfarm

import (
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// script is a registrant whose name needs a charset.
type script struct {
	charset            encoding.Encoding
	name, organization string
}

var scripts = map[Behaviour]*script{
	Latin1:    {charmap.ISO8859_1, "Zoë Müller-Núñez", "Société de l'Été"},
	EUCJP:     {japanese.EUCJP, "見本 花子", "株式会社見本"},
	ISO2022JP: {japanese.ISO2022JP, "見本 太郎", "有限会社見本"},
	EUCKR:     {korean.EUCKR, "홍길동", "주식회사 견본"},
	GBK:       {simplifiedchinese.GBK, "张三", "示例有限公司"},
	Big5:      {traditionalchinese.Big5, "王小明", "範例股份有限公司"},
	KOI8R:     {charmap.KOI8R, "Иван Петров", "ООО Образец"},
}

// encode is an answer in the charset that the behaviour has, UTF-8 for most.
func (b Behaviour) encode(body []byte) []byte {
	s := scripts[b]
	if s == nil {
		return body
	}
	out, err := s.charset.NewEncoder().Bytes(body)
	if err != nil { // a test proves that there is none
		return body
	}
	return out
}
