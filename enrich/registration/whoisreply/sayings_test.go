package whoisreply

import (
	"strings"
	"testing"
)

// told are sentences as servers write them, by what they tell. None is to be taken for another; above all no limit for "available".
var told = map[Class]string{
	Throttled: `Query rate limit exceeded. Reduce the number of queries.
% Queries from your IP address have passed the daily limit of controlled objects. Access from your host has been temporarily denied.
%ERROR:306: connections exceeded
The maximum number of whois queries has been reached.
Your request is being rate limited.
Too many connection attempts. Please try again in a few seconds.
You have been querying too fast.
Lookup refused: daily quota used up.
You are over your query limit.
Rate exceeded.
Query frequency limit hit, slow down
You have run too many queries today
Requests from your network are being throttled
Allowed number of queries used, come back tomorrow
You have reached the limit of 100 queries per day
HTTP 429
查询过于频繁，请稍后再试
您的请求过于频繁
查詢次數過多
超出查询次数限制
検索回数が制限を超えました
しばらくしてから再度お試しください
조회 횟수를 초과하였습니다
잠시 후 다시 시도해 주십시오
Превышен лимит запросов
Слишком много запросов, попробуйте позже
ПРЕВЫШЕНО ДОПУСТИМОЕ ЧИСЛО ЗАПРОСОВ
Перевищено ліміт запитів
Ha excedido el límite de consultas permitidas
Ha superado el número máximo de consultas
Demasiadas solicitudes, intente más tarde
Límite de consultas alcanzado
Limite de consultas excedido
Você excedeu o limite. Tente novamente mais tarde.
Muitas consultas a partir deste endereço
Trop de requêtes
Vous avez dépassé votre quota
Nombre maximal de requêtes atteint
Veuillez réessayer plus tard
Zu viele Anfragen
Abfragelimit überschritten
Bitte versuchen Sie es später erneut
Troppe richieste
Limite di interrogazioni superato
Riprovare più tardi
Przekroczono limit zapytań
Zbyt wiele zapytań, spróbuj później
Překročen limit dotazů
Příliš mnoho dotazů
Túl sok lekérdezés
Çok fazla sorgu yaptınız
Sorgu limitiniz aşıldı
Te veel verzoeken
Probeer het later opnieuw
För många förfrågningar
For mange forespørsler
For mange opslag
Liian monta kyselyä
Terlalu banyak permintaan
Quá nhiều yêu cầu
Prea multe cereri
Перевищено кількість запитів`,
	Blocked: `Access denied
Your IP address has been blacklisted
You are not allowed to use this service.
Your host is not permitted to query this server
IP not whitelisted
Acceso denegado
La dirección IP utilizada para realizar la consulta no está autorizada
Accès refusé
Acesso negado
Zugriff verweigert
Доступ запрещён
Доступ заблокирован
拒绝访问
Accesso negato
403 Forbidden`,
	Reserved: `This name is reserved by the registry.
The domain name is not available for registration
Domain blocked by DPML
This name is withheld from registration
The name is subject to a DPML Override block
Blocked by a GlobalBlock service
Domain name is not allowed for registration
Registration of this name is prohibited
This is a banned domain
The requested name is not permitted to be registered
Name is on the stop list
El dominio está reservado
Dominio no disponible para registro
El dominio no se puede registrar
Domínio reservado
Este domínio não está disponível para registro
Nom de domaine réservé
NOM RÉSERVÉ
Ce nom ne peut être enregistré
Diese Domain ist reserviert
Diese Domain kann nicht registriert werden
Dominio riservato
Domena zarezerwowana
Домен зарезервирован
Домен в стоп-листе
该域名为保留域名
该域名禁止注册
保留網域名稱
予約ドメイン名です
등록이 제한된 도메인입니다
Rezerve edilmiş alan adı
Domeniu rezervat
Doména je vyhrazena
Gereserveerde domeinnaam
Reserved Domain Name
Registry reserved`,
	Available: `No Object Found
OBJECT_NOT_FOUND
The queried object does not exist: no matching objects found
Nothing found for this query.
example.test is available
Domain example.test is available!
No such domain
No such record
No whois information found for example.test
No information found
We do not have an entry in our database matching your query.
El dominio no existe
Dominio disponible
El dominio está disponible
No se encontró el dominio
El nombre de dominio no fue encontrado
Dominio sin registrar
Domínio inexistente
Nenhum registro encontrado
Domínio não registrado
Aucun résultat
Ce domaine n'est pas enregistré
Domaine introuvable
Aucune correspondance
Die Domain ist nicht registriert
Kein Eintrag vorhanden
Die Domain ist frei
Dominio non trovato
Dominio non registrato
Nessun risultato
Domein niet gevonden
example.test is vrij
Nie znaleziono domeny
Domena nie istnieje
Záznam nenalezen
Doména neexistuje
Doména není registrována
Nem található
Domeniul nu a fost găsit
Domen nije registrovan
Alan adı bulunamadı
Kayıt bulunamadı
Домен не зарегистрирован
Ничего не найдено
Домен свободен
Домен не існує
Домен не знайдено
Домейнът не е намерен
Domänen hittades inte
Domænet findes ikke
Domenet ble ikke funnet
Domeeni ei leitud
Domēns nav atrasts
Domain tidak ditemukan
Không tìm thấy tên miền
ไม่พบข้อมูล
ドメイン名は登録されていません
見つかりませんでした
未找到该域名
域名不存在
该域名未被注册
查無此網域
등록되지 않은 도메인입니다
검색결과가 없습니다
غير موجود
یافت نشد
לא נמצא
Δεν βρέθηκε`,
	Unsupported: `This TLD is not supported
No whois server is known for this kind of object.
This server does not serve this zone
Invalid domain name
Dominio no válido
Nom de domaine invalide
Ungültiger Domainname
Unsupported query
whois.example.test solo acepta consultas con dominios .test`,
	Error: `Internal server error
<html><head><title>404 Not Found</title></head><body>The requested URL was not found on this server.</body></html>
Whois server not found
HTTP/1.1 404 Not Found
Database error: table not found
Could not connect to backend: host not found
Information is available at the registry's page
The name is not available for purchase
The domain is no longer available for registering
Unauthorized access to this service is prohibited. Its use for advertising is forbidden.
Data that is personal is withheld
Welcome to the registry`,
}

func TestTold(t *testing.T) {
	for class, sentences := range told {
		for s := range strings.SplitSeq(sentences, "\n") {
			for _, text := range [...]string{s + "\n", "\r\n% " + s + "\r\n\r\n", strings.ToUpper(s) + "\n"} {
				if got := Parse(text, "").Class; got != class {
					t.Errorf("%q: %v, want %v", text, got, class)
					break
				}
			}
		}
	}
}

// A limit outweighs everything that is said beside it.
func TestToldBesideALimit(t *testing.T) {
	for limit := range strings.SplitSeq(told[Throttled], "\n") {
		for _, other := range [...]string{"No match for example.test", "No entries found", "The domain is available"} {
			for _, text := range [...]string{limit + "\n" + other + "\n", other + "\n\n% " + limit + "\n"} {
				if got := Parse(text, "").Class; got == Available {
					t.Errorf("%q: available", text)
				}
			}
		}
	}
}
