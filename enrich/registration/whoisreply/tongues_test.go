package whoisreply

import (
	"strings"
	"testing"
)

// The same registration in the languages of registries: name, three dates, registrar, a name server, a status.
func TestTongues(t *testing.T) {
	const want = "registered example.test 2001-02-03 2021-02-03 2031-02-03 | Example Registrar | ns1.example.net | active"
	for language, keys := range map[string][7]string{
		"German":     {"Domain", "Registriert am", "Letzte Änderung", "Gültig bis", "Registrierungsstelle", "Namensserver", "Domänenstatus"},
		"Dutch":      {"Domeinnaam", "Datum registratie", "Laatst gewijzigd", "Vervaldatum", "Registrar", "Naamservers", "Domein status"},
		"French":     {"Nom de domaine", "Date de création", "Dernière mise à jour", "Date d'expiration", "Bureau d'enregistrement", "Serveurs DNS", "Statut"},
		"Spanish":    {"Nombre de dominio", "Fecha de alta", "Última modificación", "Fecha de vencimiento", "Registrador", "Servidores DNS", "Estado del dominio"},
		"Portuguese": {"Nome de domínio", "Data de registro", "Última atualização", "Data de vencimento", "Registrador", "Servidores de nomes", "Situação"},
		"Italian":    {"Nome dominio", "Data di creazione", "Ultima modifica", "Data di scadenza", "Registrar", "Server DNS", "Stato"},
		"Polish":     {"Nazwa domeny", "Data utworzenia", "Ostatnia modyfikacja", "Data wygaśnięcia", "Rejestrator", "Serwery nazw", "Status domeny"},
		"Czech":      {"Doména", "Datum registrace", "Poslední změna", "Platnost do", "Registrátor", "Jmenné servery", "Stav"},
		"Turkish":    {"Alan Adı", "Kayıt tarihi", "Son güncelleme", "Bitiş tarihi", "Kayıt firması", "Ad sunucusu", "Durum"},
		"Russian":    {"Домен", "Дата регистрации", "Дата обновления", "Оплачен до", "Регистратор", "Серверы имен", "Состояние"},
		"Chinese":    {"域名", "注册时间", "更新时间", "到期时间", "注册商", "域名服务器", "域名状态"},
		"Japanese":   {"ドメイン名", "登録年月日", "最終更新", "有効期限", "登録事業者", "ネームサーバ", "状態"},
		"Korean":     {"도메인이름", "등록일", "최근 정보 변경일", "사용 종료일", "등록대행자", "네임서버", "도메인상태"},
		"Vietnamese": {"Tên miền", "Ngày đăng ký", "Ngày cập nhật", "Ngày hết hạn", "Nhà đăng ký", "Máy chủ DNS", "Trạng thái"},
	} {
		values := [...]string{"example.test", "2001-02-03", "2021-02-03", "2031-02-03", "Example Registrar", "ns1.example.net", "active"}
		for _, write := range [...]func(string) string{func(s string) string { return s }, strings.ToLower, strings.ToUpper} {
			var b strings.Builder
			for i, key := range keys {
				b.WriteString(write(key) + ": " + values[i] + "\n")
			}
			r := Parse(b.String(), "")
			if got := summary(&r); got != want {
				t.Errorf("%s: %s\n%s", language, got, b.String())
				break
			}
		}
	}
}
