package whoisreply

// tongues are the names of fields in the languages that registries write beside English, in the form of keys. Words that are short or
// mean other things as well are weak.
var tongues = [...]keyNames{
	{fDomain, ofDomain, "domänname|domænenavn|domenenavn|domeinnaam|doménové jméno|doména|alan adı|имя домена|домен|домейн|域名|網域名稱|ドメイン名|" +
		"nome dominio|nome a dominio|nom du domaine|nume domeniu|tên miền|nama domain|verkkotunnus|domain name ace|اسم النطاق"},
	{fCreated, ofDomain, "~creado|~criado|creado el|criado em|~créé|créé le|~erstellt|erstellt am|~registriert|registriert am|erstellungsdatum|" +
		"registrierungsdatum|datum registratie|registratiedatum|registreringsdatum|~registreret|~registrert|~skapad|~luotu|~rekisteröity|" +
		"rekisteröintipäivä|~oprettet|creato il|data creazione|data di creazione|data registrazione|data di registrazione|~utworzony|~utworzona|" +
		"data utworzenia|~vytvořeno|~registrováno|datum registrace|regisztráció dátuma|~létrehozva|~înregistrat|data înregistrării|" +
		"oluşturulma tarihi|kayıt tarihi|дата регистрации|~создан|дата создания|~зарегистрирован|~створено|дата реєстрації|~зареєстровано|" +
		"дата на регистрация|注册日期|注册时间|註冊日期|创建时间|创建日期|建立日期|作成日|~登録|등록일자|생성일|ngày đăng ký|ngày tạo|tanggal registrasi|" +
		"tanggal dibuat|fecha de alta|fecha de inscripción|fecha creación|fecha creacion|fecha registro|date enregistrement|" +
		"created time|creation timestamp|registration date time|create date time|first registered|initial registration date|approval date|" +
		"~approved|delegated since|delegation date|assigned date|date assigned|~assigned|date created on|registry created date|domain created on|" +
		"data de registro|data registro|data de ativação|registered on date"},
	{fUpdated, ofDomain, "~actualizado|~atualizado|última atualização|data de atualização|~alterado|~modificado|modifié le|~modifié|~mis à jour|" +
		"mise à jour|date de mise à jour|dernière mise à jour|~geändert|letzte änderung|zuletzt geändert|~aktualisiert|~gewijzigd|laatst gewijzigd|" +
		"laatste wijziging|~ändrad|senast ändrad|~ændret|~endret|sist endret|sidst ændret|~muokattu|viimeksi muokattu|~modificato|ultima modifica|" +
		"data ultima modifica|~zmodyfikowany|ostatnia modyfikacja|data modyfikacji|~změněno|poslední změna|~aktualizováno|~módosítva|" +
		"utolsó módosítás|ultima modificare|güncelleme tarihi|son güncelleme|son güncelleme tarihi|дата обновления|~изменен|~обновлен|" +
		"дата изменения|последнее изменение|~оновлено|~змінено|更新日期|更新时间|最后更新|最後更新|修改日期|更新日|변경일|최종변경일|수정일|ngày cập nhật|" +
		"tanggal diperbarui|terakhir diperbarui|changed on|changed date|change date|date changed|last change date|last changed date|last changed on|" +
		"last edit|update timestamp|last amended|date amended|última modificación|ultima modificacion|fecha de actualización|" +
		"fecha de actualizacion|fecha actualización|fecha modificación|last update time utc|date of last change|date of last update|" +
		"date of last modification|last modification time|modified time|modification time|change time"},
	{fExpires, ofDomain, "~vence|~vencimiento|~expira|expira em|expira el|~vencimento|data de vencimento|válido até|válido hasta|valido hasta|valide jusqu'au|" +
		"ablaufdatum|läuft ab|läuft ab am|gültig bis|vervaldatum|utgår|utgångsdatum|udløbsdato|~udløber|utløpsdato|~vanhenee|~päättyy|päättymispäivä|" +
		"~scadenza|data di scadenza|data scadenza|~wygasa|data wygaśnięcia|koniec okresu rozliczeniowego|platnost do|datum expirace|~expirace|" +
		"~lejárat|lejárati dátum|~expiră|bitiş tarihi|sona erme tarihi|дата окончания|дата окончания регистрации|оплачен до|действителен до|" +
		"срок действия|закінчується|дійсний до|оплачено до|到期日期|到期时间|到期日|过期时间|过期日期|過期日期|截止日期|만료일|사용종료일|ngày hết hạn|" +
		"tanggal kadaluarsa|tanggal kedaluwarsa|tanggal berakhir|expire date time|expiry date time|expiration timestamp|domain expire date|" +
		"domain expiration|paid through|active until|valid thru|valid through|~end date|end of registration|date of expiry|renewal due|renew by|" +
		"next due date|registry expiration|fecha expiración|fecha expiracion|fecha vencimiento|expiry time|expires time|expiration date utc|date expiration|date expiry|" +
		"registration valid until|registration expires on|registration expiry|domain expires at|licence expires|contract end"},
	{fRegistrar, ofRegistrar, "registrador|registraire|bureau d'enregistrement|bureau d enregistrement|registrierungsstelle|rejestrator|registrátor|" +
		"určený registrátor|regisztrátor|kayıt firması|kayıt kuruluşu|регистратор|реєстратор|注册商|註冊商|域名注册商|所属注册服务机构|註冊服務商|登録事業者|" +
		"指定事業者|등록대행기관|등록기관|nhà đăng ký|tên nhà đăng ký|pendaftar|verkkotunnusvälittäjä|registrerare|accredited registrar|" +
		"registrar company name|registrar's name|name of registrar|registration agent name|registrar org|~registered with|~registered via|" +
		"sponsor registrar|sponsoring registrar name|domain name registrar|current sponsor|gestionnaire|proveedor de registro|agente de registro"},
	{fNameServer, ofDomain, "servidores de nombres|servidor de nombres|=servidores de nomes|servidor de nomes|serveurs dns|serveur dns|serveurs de nom|" +
		"=namensserver|=naamservers|namnserver|=namnservrar|navneserver|=navneservere|=nimipalvelimet|nimipalvelin|=server dei nomi|server dns|" +
		"serwery nazw|serwer nazw|serwer dns|=jmenné servery|jmenný server|=névszerverek|névszerver|=servere de nume|server de nume|=ad sunucuları|" +
		"ad sunucusu|=alan adı sunucuları|dns сервер|=dns серверы|=серверы имен|сервер имен|=сервери імен|dns сервери|域名服务器|名稱伺服器|" +
		"名称服务器|dns服务器|dns 服务器|dns 伺服器|ネームサーバ|ネームサーバー|네임서버|máy chủ tên miền|máy chủ dns|nameserver host|host server|" +
		"authoritative nameserver|=authoritative nameservers|nameserver hostname|dns server name|=zone servers|delegated to|" +
		"primary dns server|secondary dns server|master server|slave server|primary dns name|secondary dns name|=dns nameservers|" +
		"=name servers list|=servidores dns|=serveurs de noms de domaine"},
	{fStatus, ofDomain, "estado del dominio|~situação|statut du domaine|domänenstatus|domein status|stato del dominio|status domeny|~stan|~stav|stav domény|" +
		"~állapot|stare domeniu|~durum|~durumu|состояние|статус домена|стан домену|域名状态|狀態|域名狀態|状态|~상태|도메인상태|trạng thái|~tila|" +
		"domain status code|status of domain|object status|estado de dominio|estatus dominio|registrar status|delegation status"},
	{fRole, ofRegistrant, "=propietario|=propriétaire|=inhaber|=domaininhaber|=houder|=domeinhouder|=innehavare|=haltija|=omistaja|=ejer|=eier|" +
		"=intestatario|=assegnatario|=abonent|=właściciel|=držitel|=tulajdonos|=titular del dominio|=titulaire|=proprietar|=alan adı sahibi|" +
		"=владелец|=власник|注册人|註冊人|域名持有者|登録者|登録者名|소유자|chủ thể|pemilik|=registrant name and address|=domain name owner|" +
		"=registrant contact info"},
	{fRole, ofAdmin, "=contatto amministrativo|=contato administrativo|=administratiivkontakt|=administrativer ansprechpartner|管理联系人|管理聯絡人|" +
		"=administratief contactpersoon"},
	{fRole, ofTech, "=contatto tecnico|=contato técnico|=technischer ansprechpartner|=technisch contactpersoon|技术联系人|技術聯絡人|技術連絡担当者"},
}
