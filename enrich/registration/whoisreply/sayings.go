package whoisreply

// saying is what registries write to tell a class, in lower case.
type saying struct {
	class Class
	words string
}

// sayings are tried in order of class, not of place, English first: who says that it limits queries and that nothing was found says nothing
// about the name. What is here must not occur in the terms of use that replies carry, which speak of limits as well; they are
// mostly told apart by their length (see classify).
var sayings = []saying{
	{Blocked, "been blacklisted|is blacklisted|are blacklisted|access denied|has been banned|is banned|been banned|" +
		"permission denied|not authorised to access this|you have been blocked|your access has been|" +
		"not authorized to use this|access from your ip|su direccion ip no|client blocked|query refused|" +
		"you are not allowed to|host is not permitted|client is not permitted|ip is not permitted|address is not permitted|not whitelisted|not in our whitelist|403 forbidden|access forbidden|" +
		"access blocked|access refused|401 unauthorized|unauthorized ip|unauthorized client|unauthorized request|ip not authorized|ip is not authorized|" +
		"address is not authorized|client not authorized|client is not authorized|host not authorized|ip not allowed|ip blacklisted|" +
		"in blacklist|in the blacklist|on our blacklist|on the blacklist|la ip utilizada no|access to this service is denied|connection denied|blocked for abuse"},
	{Throttled, "too many|ip address blocked|ip is blocked|ip has been blocked|ip address is blocked|query rate reached|" +
		"request denied|limit exceeded|limit has been exceeded|limit reached|limit was exceeded|exceeded your|exceeded the|" +
		"quota exceeded|quota reached|has been exceeded|have exceeded|has exceeded|been exceeded|slow down|try again|" +
		"try later|please wait|go away|excessive querying|grace period, wait|still in grace period|queries per hour|" +
		"queries per day|queries per minute|requests per minute|request per second|requests per second|rate limit|" +
		"ratelimit|rate-limit|access control limit|temporarily denied|temporarily unavailable|temporarily not|" +
		"temporarily blocked|temporarily restricted|time before starting another|interval is too short|query interval|" +
		"limit-exceeded|over quota|throttl|quota of quer|queries exceeded|exceeded allowed|exceeded maximum|exceeded max|" +
		"maximum number of queries|maximum queries|maximum query|number of allowed queries|lookup quota|query quota|" +
		"lookups exceeded|wait a while|wait and|again later|again in|too fast|too frequent|too often|exceeded for|" +
		"max number of|daily limit|hourly limit|currently down|is busy|too busy|server is down|overload|excess of quer|" +
		"number of queries|exceeded. |be replenished|due to query limit|command rate|connection limit|" +
		"limitado temporalmente|demasiadas consultas|consultas excedido|requests of this client|rejected due to|" +
		"refused, try|wait for|connections exceeded|has been reached|being rate|rate exceed|rate-exceed|over your|over the limit|over limit|http 429|" +
		"error 429|lookup refused|limit hit|hit the limit|frequency limit|number of connections from|number of requests from|requests exceeded|used up|come back|" +
		"daily quota|limits exceeded|excessive access from|due to excessive|excessive number|reached the limit|reached your|" +
		"abuse limit|being throttled|retry after|retry in|retry later"},
	{Reserved, "is reserved|are reserved|been reserved|reserved by|reserved name|reserved for|reserved domain|" +
		"in the reserved list|restricted from|is restricted|restricted domain|domain is prohibited|requested is prohibited|" +
		"is not allowed to be registered|domain not available|not available for registration|can not be registered|" +
		"cannot be registered|may not be registered|name is blocked|domain is blocked|has been blocked by|" +
		"not available or is reserved|blocked by|prohibited string|prohibited name|domain reserved|name is prohibited|" +
		"not registrable|not available for second level|registration is not allowed|unavailable for registration|" +
		"not be available for registration|restricted name|in the restricted list|reserved word|dpml block|globalblock|" +
		"trademark clearinghouse block|réservé|reservado|dpml|name is withheld|withheld from registration|not allowed for registration|is banned domain|banned domain|" +
		"banned name|not permitted to be registered|stop list|stop-list|registry reserved|reserved by|forbidden name|domain is forbidden|name is forbidden|" +
		"forbidden domain|not eligible for registration|unassignable|registration is prohibited|name is prohibited|" +
		"is prohibited from registration|name is prohibited|of this name is prohibited|not open for registration|not be registered"},
	{Available, "no match|not found|no entries found|no data found|no object found|no objects found|nothing found|" +
		"no records match|no such domain|not registered|is available for|is available to|is available. |available for reg|" +
		"available for pur|is free|not been registered|does not exist|no existe|not been found|no information available|" +
		"no data was found|could not be found|domain unknown|no domain|object does not exist|no matching|not exist in|" +
		"not in database|no record|could not find|unable to find|not known in|no found|returned 0 objects|no se encontro|" +
		"no_se_encontro|object_not_found|no se encuentra registrado|not available in our whois database|no entry found|" +
		"nothing to show|not find matchingrecord|nincs tal|is not in our|is not in the|not assigned|such record|whois information found|no information found|no whois data|no domain data|no match|no está registrado|" +
		"no esta registrado|no registrado|status: available|status: free|available domain|domain available|" +
		"this query returned 0|not have an entry|not have any entries|not have any data|data not found|" +
		"no information was found|no information on|is not active|not currently registered|never been registered|" +
		"no name found|0 results|not delegated|n'existe pas|non trouv|nicht gefunden|not yet registered|등록되어 있지 않습니다|未注册|" +
		"未註冊|該当するデータがありません|нет данных|не найден|não encontrado|não existe|not regist|is unassigned|not exist|no results|" +
		"not listed|no results found|unknown domain|not match|#free|key not found"},
	{Unsupported, "tld not supported|tld is not supported|not supported|no whois server|invalid query|invalid domain|" +
		"not a valid domain|invalid input|is not valid|invalid request|not managed by|not authoritative|wrong tld|" +
		"unknown tld|malformed|syntax error|illegal|does not accept|not served by|this tld has no whois|invalid parameter|" +
		"incorrect domain|no whois server|server is known for|does not serve|not serve this|unsupported query|unknown query|bad query|only accepts|only contains|unsupported|does not support"},
}

// sayingsElsewhere are the sayings of registries in their own languages. "Not available" may not stand under Reserved without its
// negation, nor "available" under Available where a negation may stand before it.
var sayingsElsewhere = []saying{
	{Blocked, "acceso denegado|no está autorizada|no esta autorizada|accès refusé|accès interdit|acesso negado|zugriff verweigert|" +
		"zugriff gesperrt|accesso negato|toegang geweigerd|доступ запрещ|доступ заблокирован|доступ закрыт|доступ заборонено|拒绝访问|拒絕存取|" +
		"禁止访问|接続を拒否|アクセスが拒否|접근이 거부|접속이 차단|erişim engellen|dostęp zabroniony|přístup odepřen|hozzáférés megtagadva|" +
		"acces interzis|åtkomst nekad|adgang nægtet|ingen tilgang|pääsy estetty"},
	{Throttled, "频繁|頻繁|次数限制|次數限制|次数超|次數超|次数过多|次數過多|请求过多|超过限制|超出限制|超過限制|稍后再试|稍後再試|稍候再试|稍後重試|稍后重试|" +
		"制限を超え|回数制限|上限に達|アクセスが集中|しばらくして|しばらくお待ち|時間をおいて|초과하|횟수를 초과|제한을 초과|잠시 후|너무 많|превышен|" +
		"слишком много|слишком част|попробуйте поз|повторите поз|перевищен|забагато|занадто багато|спробуйте піз|твърде много|" +
		"excedido el l|excedido su|ha excedido|ha superado|superado el|límite de consultas|limite de consultas|límite alcanzado|demasiad|" +
		"intente más tarde|intente mas tarde|intente nuevamente|inténtelo|vuelva a intentar|limite excedido|excedeu|limite de acesso|" +
		"limite de requisi|muitas consultas|muitas requisi|muitos pedidos|tente novamente|tente mais tarde|trop de requ|trop de demand|" +
		"trop d'interrog|dépassé|dépassement|maximal de requ|maximum de requ|veuillez réessayer|réessayez|veuillez patienter|zu viele|" +
		"zu oft|limit überschritten|anfragelimit|abfragelimit|später erneut|später noch einmal|später wieder|troppe|troppi|superato|" +
		"riprovare|riprova più|più tardi|przekroczon|przekroczył|zbyt wiele|zbyt często|spróbuj|překročen|příliš mnoho|příliš často|" +
		"prekročen|príliš veľa|zkuste to|skúste|túl sok|túllépte|később|çok fazla|limitiniz|aşıldı|aşıld|daha sonra|te veel|te vaak|" +
		"probeer het later|limiet overschreden|limiet bereikt|för många|försök igen|for mange|prøv igen|prøv igjen|liian monta|liian mon|yritä myöhemmin|liiga palju|" +
		"terlalu banyak|coba lagi|melebihi|quá nhiều|thử lại|vượt quá|prea multe|depășit|încercați|previše|preveč|prekoračen|" +
		"πάρα πολλ|υπέρβαση|มากเกินไป|تجاوز|بیش از حد|יותר מדי"},
	{Reserved, "no disponible para|no está disponible|no esta disponible|no se puede registrar|no puede ser registrado|dominio restringido|nombre restringido|não disponível|" +
		"não está disponível|não pode ser registrad|n'est pas disponible|ne peut être enregistr|ne peut pas être enregistr|" +
		"terme réglementé|reserviert|gesperrte domain|nicht verfügbar|kann nicht registriert|dominio riservato|nome riservato|" +
		"non disponibile|non assegnabile|gereserveerd|niet beschikbaar|zarezerwowan|zastrzeżon|nie może być zarejestr|" +
		"vyhrazen|rezervován|nemůže být registr|fenntartott|nem regisztrálható|rezervat|rezervisan|rezerviran|rezerve edil|" +
		"tahsis edilemez|reserverad|reserveret|reservert|зарезервирован|зарезервован|стоп-лист|недоступен для регистрации|" +
		"не может быть зарегистрирован|запазен|保留域名|保留網域|保留字|保留名|为保留|為保留|禁止注册|禁止註冊|不可注册|不可註冊|" +
		"不能注册|予約ドメイン|予約名|予約され|登録できません|등록이 제한|등록할 수 없|예약된|예약 도메인|สงวน|محجوز|רזרב"},
	{Available, "está disponible|esta disponible|dominio disponible|dominio libre|no se encontró|no fue encontrado|no ha sido registrado|" +
		"sin registrar|no hay información|no hay datos|não registrado|não está registrado|não foi encontrado|inexistente|nenhum registro|" +
		"disponível para|aucun résultat|aucune correspondance|aucun enregistrement|aucun objet|n'est pas enregistr|introuvable|" +
		"pas trouvé|est libre|domaine inconnu|nicht registriert|nicht vergeben|nicht vorhanden|kein eintrag|keine einträge|keine daten|" +
		"ist frei |ist frei. |ist verfügbar|non trovat|non registrat|nessun risultato|nessun dato|non esiste|niet gevonden|" +
		"niet geregistreerd|is vrij |is vrij. |nie znaleziono|nie istnieje|nie jest zarejestr|brak danych|nenalezen|neexistuje|" +
		"není registrov|nenájden|nie je registrov|nem található|nem létezik|nincs találat|nu a fost găsit|nu există|nu este înregistrat|" +
		"nije registrovan|nije registriran|nije pronađen|ni registriran|ni najden|bulunamadı|bulunamadi|kayıtlı değil|" +
		"не зарегистрирован|не найден|не существует|свободен|отсутствует|не зареєстрован|не існує|не знайден|вільний|не е намерен|" +
		"не е регистриран|hittades inte|finns inte|inte registrerad|findes ikke|ikke fundet|ikke registreret|ikke funnet|" +
		"ikke registrert|ei löyty|ei ole rekister|ei leitud|ei ole registreeritud|nav atrast|nav reģistrēt|nerast|neregistruot|" +
		"fannst ekki|tidak ditemukan|tidak terdaftar|belum terdaftar|tidak berdaftar|không tìm thấy|chưa được đăng ký|ไม่พบ|" +
		"登録されていません|見つかりません|未找到|没有找到|没有匹配|没有记录|没有查到|查无|查無|不存在|未被注册|未被註冊|尚未注册|尚未註冊|등록되지 않은|" +
		"등록되지 않았|검색결과가 없|검색 결과가 없|غير موجود|غير مسجل|لم يتم العثور|یافت نشد|לא נמצא|δεν βρέθηκε"},
	{Unsupported, "no válido|no soportado|solo acepta|sólo acepta|não suportad|domínio inválido|dominio inválido|invalide|non pris en charge|" +
		"ungültig|nicht unterstützt|non valido|non supportat|ongeldig|nieprawidłow|nieobsługiwan|neplatn|érvénytelen|geçersiz|" +
		"недопустим|некорректн|неверн|не поддерживается|不支持|不支援|无效|無效|無効|서포트하지|지원하지 않|잘못된"},
}
