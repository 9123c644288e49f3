"""Word lists for generated customers. The name and address of a customer are from one culture."""
# ruff: noqa: RUF001  # names in their original scripts

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

__all__ = [
    "CAMPAIGNS",
    "CHANNELS",
    "CULTURES",
    "CUSTOM_EVENTS",
    "DESCRIPTIONS",
    "DOMAINS",
    "EXTRA_METADATA",
    "MESSAGES",
    "PRODUCTS",
    "REWARDS",
    "TIERS",
    "WEIGHTED_CULTURES",
    "Culture",
    "Person",
]

DOMAINS: Final = ("example.com", "example.org", "example.net")
"""Domains reserved for examples, so no real address is generated."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person's name. Many customers can share one."""

    name: str
    handle: str
    """The name in ASCII, for e-mail addresses."""
    international: str
    """The name in its original script, for internationalised e-mail addresses."""


@dataclass(frozen=True, eq=False)
class Culture:
    """Names and addresses of one culture.

    Names are separated by spaces. ``name/handle`` gives the ASCII form of a name; without it, the handle is the name
    in lower case. In addresses and postal codes, ``#`` stands for a digit.
    """

    country: str
    phone: str
    """Prefix of phone numbers; eight digits follow."""
    domain: str
    """Domain of internationalised e-mail addresses, below ``example.org``."""
    male_names: str
    female_names: str
    last_names: str
    female_last_names: str
    """Empty if they do not differ from `last_names`."""
    cities: tuple[tuple[str, str, str], ...]
    """City, state and postal code. A city that is listed twice is used twice as often."""
    streets: tuple[str, ...]
    order: str = "{first} {last}"

    @functools.cached_property
    def people(self) -> tuple[Person, ...]:
        """All combinations of first and last names."""
        return tuple(
            Person(
                self.order.format(first=first, last=last),
                f"{first_handle}.{last_handle}",
                f"{first}.{last}".lower(),
            )
            for firsts, lasts in (
                (self.male_names, self.last_names),
                (self.female_names, self.female_last_names or self.last_names),
            )
            for (first, first_handle), (last, last_handle) in product(
                _parse_names(firsts), _parse_names(lasts)
            )
        )

    def address(self, number: int) -> dict[str, Any]:
        """An address in this culture. Equal numbers give equal addresses."""
        number, city = divmod(number, len(self.cities))
        name, state, postal_code = self.cities[city]
        digits, street = divmod(number, len(self.streets))
        return {
            "city": name,
            "state": state,
            "line_1": _fill_digits(self.streets[street], digits % 89 + 10),
            "line_2": "" if number % 5 else f"{number % 30 + 1}/{number % 4 + 1}",
            "country": self.country,
            "postal_code": _fill_digits(postal_code, number * 7919 % 90_000 + 10_000),
        }


def _parse_names(text: str) -> Iterator[tuple[str, str]]:
    for word in text.split():
        name, _, handle = word.partition("/")
        yield name, handle or name.lower()


def _fill_digits(pattern: str, number: int) -> str:
    digits = iter(str(number))
    return "".join(next(digits, "1") if letter == "#" else letter for letter in pattern)


CULTURES: Final = (
    Culture(
        "United Kingdom", "+44 74", "naïve.example.org",
        "Alan Tim Niall Siôn/sion Oliver Rhys Callum George",
        "Ada Barbara Siân/sian Zoë/zoe Imogen Chloë/chloe Grace Freya",
        "Lovelace Turing Wilson Brontë/bronte O’Neill/oneill Clarke Hughes Fraser", "",
        (("London", "", "SW#A #AA"), ("London", "", "E# #QT"), ("London", "", "NW# #JD"),
         ("London", "", "WC# #LX"), ("Manchester", "", "M# #WB"), ("Edinburgh", "Scotland", "EH# #NG")),
        ("## High Street", "## Station Road", "## Church Lane", "## Victoria Road"),
    ),
    Culture(
        "United States", "+1 55", "résumé.example.org",
        "Claude Alonzo Linus Marcus José/jose Ethan Noah Malik",
        "Frances Katherine Margaret Radia Renée/renee Dorothy Jean Beyza",
        "Hamilton Hopper Shannon Johnson Peña/pena Vaughan Allen Washington", "",
        (("New York", "NY", "100##"), ("San Francisco", "CA", "941##"), ("Austin", "TX", "787##"),
         ("Chicago", "IL", "606##")),
        ("## Main St.", "## Oak Ave.", "## Lincoln Blvd.", "1## Maple Dr."),
    ),
    Culture(
        "Poland", "+48 6", "żółw.example.org",
        "Łukasz/lukasz Jan Stanisław/stanislaw Paweł/pawel Michał/michal Jędrzej/jedrzej",
        "Zuzanna Małgorzata/malgorzata Agnieszka Świętosława/swietoslawa Bożena/bozena Łucja/lucja",
        "Nowak Wójcik/wojcik Wróbel/wrobel Dąbek/dabek Pająk/pajak Mróz/mroz", "",
        (("Kraków", "małopolskie", "30-###"), ("Łódź", "łódzkie", "90-###"),
         ("Wrocław", "dolnośląskie", "50-###")),
        ("ul. Długa ##", "ul. Świętego Jana ##", "os. Złotej Jesieni ##", "al. Róż ##"),
    ),
    Culture(
        "Germany", "+49 151", "bücher.example.org",
        "Jürgen/juergen Björn/bjoern Niklaus Götz/goetz Matthias Emil",
        "Käthe/kaethe Emmy Jördis/joerdis Ursula Renate Änne/aenne",
        "Müller/mueller Groß/gross Schröder/schroeder Noether Weiß/weiss Krüger/krueger", "",
        (("Berlin", "", "10###"), ("München", "Bayern", "80###"), ("Köln", "Nordrhein-Westfalen", "50###")),
        ("Hauptstraße ##", "Schönhauser Allee ##", "Am Mühlbach ##", "Goethestraße ##"),
    ),
    Culture(
        "France", "+33 6", "élan.example.org",
        "Étienne/etienne Loïc/loic Blaise François/francois Rémi/remi Jérôme/jerome",
        "Émilie/emilie Sophie Anaïs/anais Hélène/helene Françoise/francoise Aïcha/aicha",
        "Lefèvre/lefevre Germain D’Alembert/dalembert Bézout/bezout Garçon/garcon Noël/noel", "",
        (("Paris", "Île-de-France", "750##"), ("Nîmes", "Occitanie", "300##"),
         ("Besançon", "Bourgogne-Franche-Comté", "250##")),
        ("## rue de la Paix", "## boulevard Saint-Michel", "## allée des Érables", "## quai d’Orsay"),
    ),
    Culture(
        "Brazil", "+55 119", "coração.example.org",
        "João/joao Thiago Antônio/antonio Sebastião/sebastiao Caetano Luís/luis",
        "Conceição/conceicao Letícia/leticia Beatriz Inês/ines Lúcia/lucia Marta",
        "Gonçalves/goncalves Araújo/araujo Magalhães/magalhaes Silva Simões/simoes Brandão/brandao", "",
        (("São Paulo", "SP", "01310-###"), ("Brasília", "DF", "70040-###"), ("Maceió", "AL", "57020-###")),
        ("Rua Augusta, ##", "Avenida Paulista, 1##", "Praça da Sé, ##", "Rua São João, ##"),
    ),
    Culture(
        "Denmark", "+45 ", "æble.example.org",
        "Søren/soeren Bjarne Jørgen/joergen Åge/aage Niels Asbjørn/asbjoern",
        "Zoë/zoe Kirstine Åse/aase Sølve/soelve Ingrid Karen",
        "Kierkegaard Ørsted/oersted Sørensen/soerensen Bohr Lindstrøm/lindstroem Ågård/aagaard", "",
        (("København", "", "21##"), ("Århus", "", "80##"), ("Ærøskøbing", "", "59##")),
        ("Nørregade ##", "Strøget ##", "Ærøvej ##", "Åboulevarden ##"),
    ),
    Culture(
        "Türkiye", "+90 53", "ışık.example.org",
        "Engin Oğuz/oguz Cahit Ömer/omer Işık/isik Tuğrul/tugrul",
        "Şule/sule Gülşen/gulsen Çiğdem/cigdem Ayşe/ayse Iraz/iraz Özlem/ozlem",
        "Yıldız/yildiz Öztürk/ozturk Arf Şahin/sahin Kılıç/kilic Çelik/celik", "",
        (("İstanbul", "", "34###"), ("İzmir", "", "35###"), ("Iğdır", "", "76###")),
        ("Çiçek Sokak ##", "İstiklal Caddesi ##", "Bağdat Caddesi ##", "Gül Sokak ##"),
    ),
    Culture(
        "Україна", "+380 9", "пошта.example.org",
        "Тарас/taras Іван/ivan Олексій/oleksii Євген/yevhen Богдан/bohdan Ігор/ihor",
        "Дарʼя/daria Оксана/oksana Леся/lesia Катерина/kateryna Ольга/olha Юлія/yuliia",
        "Шевченко/shevchenko Ткачук/tkachuk Коваленко/kovalenko Гнатюк/hnatiuk Мельник/melnyk Їжак/yizhak", "",
        (("Київ", "", "01###"), ("Львів", "", "79###"), ("Одеса", "", "65###")),
        ("вул. Хрещатик, ##", "вул. Лесі Українки, ##", "просп. Свободи, ##", "вул. Садова, ##"),
    ),
    Culture(
        "България", "+359 8", "поща.example.org",
        "Георги/georgi Христо/hristo Никола/nikola Димитър/dimitar Пламен/plamen Йордан/yordan",
        "Дария/daria Ваня/vanya Цветана/tsvetana Йоана/yoana Румяна/rumyana Снежана/snezhana",
        "Иванов/ivanov Петров/petrov Стоянов/stoyanov Димитров/dimitrov Колев/kolev",
        "Иванова/ivanova Петрова/petrova Стоянова/stoyanova Димитрова/dimitrova Колева/koleva",
        (("София", "", "10##"), ("Пловдив", "", "40##"), ("Варна", "", "90##")),
        ("ул. Шипка ##", "бул. Витоша ##", "ул. Граф Игнатиев ##", "бул. България ##"),
    ),
    Culture(
        "Ελλάδα", "+30 69", "παράδειγμα.example.org",
        "Νίκος/nikos Γιώργος/giorgos Δημήτρης/dimitris Ηλίας/ilias Θανάσης/thanasis Κώστας/kostas",
        "Ελένη/eleni Κατερίνα/katerina Σοφία/sofia Υπατία/ypatia Ξένια/xenia Χριστίνα/christina",
        "Παπαδόπουλος/papadopoulos Γεωργίου/georgiou Νικολαΐδης/nikolaidis Ιωάννου/ioannou",
        "Παπαδοπούλου/papadopoulou Γεωργίου/georgiou Νικολαΐδου/nikolaidou Ιωάννου/ioannou",
        (("Αθήνα", "Αττική", "105 ##"), ("Θεσσαλονίκη", "", "546 ##"), ("Ηράκλειο", "Κρήτη", "712 ##")),
        ("Ερμού ##", "Οδός Αθηνάς ##", "Λεωφόρος Νίκης ##", "Σταδίου ##"),
    ),
    Culture(
        "مصر", "+20 10", "مثال.example.org",
        "محمد/mohamed أحمد/ahmed عمر/omar يوسف/youssef طارق/tarek نجيب/naguib",
        "فاطمة/fatma ليلى/laila زينب/zeinab مريم/mariam هدى/hoda نور/nour",
        "الفارسي/alfarisi محفوظ/mahfouz منصور/mansour الشريف/elsherif سليمان/soliman حداد/haddad", "",
        (("القاهرة", "", "115##"), ("الإسكندرية", "", "215##"), ("الجيزة", "", "125##")),
        ("## شارع التحرير", "## شارع الهرم", "## كورنيش النيل", "## شارع طلعت حرب"),
    ),
    Culture(
        "ישראל", "+972 5", "דוגמה.example.org",
        "יוסף/yosef דוד/david אבי/avi נועם/noam איתן/eitan משה/moshe",
        "שירה/shira נועה/noa רחל/rachel תמר/tamar מיכל/michal יעל/yael",
        "כהן/cohen לוי/levi מזרחי/mizrahi פרץ/peretz ביטון/biton אברהם/avraham", "",
        (("תל אביב", "", "67#####"), ("ירושלים", "", "91#####"), ("חיפה", "", "33#####")),
        ("רחוב הרצל ##", "שדרות רוטשילד ##", "רחוב יפו ##", "רחוב דיזנגוף ##"),
    ),
    Culture(
        "भारत", "+91 98", "उदाहरण.example.org",
        "अर्जुन/arjun विक्रम/vikram संजय/sanjay कृष्ण/krishna राहुल/rahul श्रीनिवास/shrinivas",
        "शांति/shanti प्रिया/priya लक्ष्मी/lakshmi अनन्या/ananya मीरा/meera शकुंतला/shakuntala",
        "शर्मा/sharma गुप्ता/gupta सिंह/singh पटेल/patel मिश्रा/mishra जोशी/joshi", "",
        (("मुंबई", "महाराष्ट्र", "4000##"), ("नई दिल्ली", "दिल्ली", "1100##"), ("जयपुर", "राजस्थान", "3020##")),
        ("## महात्मा गांधी मार्ग", "## स्टेशन रोड", "## गांधी नगर", "## नेहरू मार्ग"),
    ),
    Culture(
        "台灣", "+886 9", "例子.example.org",
        "志明/zhiming 家豪/jiahao 俊傑/junjie 建宏/jianhong 冠宇/guanyu 承恩/chengen",
        "淑芬/shufen 美玲/meiling 雅婷/yating 怡君/yijun 詩涵/shihan 欣怡/xinyi",
        "陳/chen 林/lin 黃/huang 張/zhang 歐陽/ouyang 蔡/tsai", "",
        (("臺北市", "信義區", "110##"), ("高雄市", "苓雅區", "802##"), ("臺南市", "東區", "701##")),
        ("忠孝東路##號", "中山北路##號", "民權路##號", "和平東路##號"),
        "{last}{first}",
    ),
    Culture(
        "日本", "+81 90", "例え.example.org",
        "健/ken 陽翔/haruto たける/takeru タカシ/takashi 翔太/shota 蓮/ren",
        "美咲/misaki さくら/sakura ひなた/hinata マリコ/mariko 陽子/yoko ゆい/yui",
        "佐藤/sato 鈴木/suzuki 高橋/takahashi 渡邉/watanabe 小林/kobayashi 髙木/takagi", "",
        (("東京", "千代田区", "100-00##"), ("大阪", "北区", "530-00##"), ("札幌", "中央区", "060-00##")),
        ("丸の内#丁目##", "桜通り##", "本町#丁目##", "みどり町##"),
        "{last} {first}",
    ),
    Culture(
        "대한민국", "+82 10", "실례.example.org",
        "민준/minjun 서준/seojun 지훈/jihun 현우/hyunwoo 도윤/doyun 준호/junho",
        "서연/seoyeon 지우/jiwoo 하은/haeun 수빈/subin 예린/yerin 은지/eunji",
        "김/kim 이/lee 박/park 최/choi 정/jung 남궁/namgung", "",
        (("서울", "강남구", "06###"), ("부산", "해운대구", "48###"), ("인천", "연수구", "21###")),
        ("테헤란로 ##", "세종대로 ##", "해운대로 ##", "한강대로 ##"),
        "{last}{first}",
    ),
    Culture(
        "ประเทศไทย", "+66 8", "ตัวอย่าง.example.org",
        "สมชาย/somchai กิตติ/kitti ธนา/thana ณัฐ/nat วิชัย/wichai ประยุทธ์/prayut",
        "สุดา/suda มาลี/malee พิมพ์/phim อรทัย/orathai น้ำฝน/namfon กนก/kanok",
        "ใจดี/jaidee ศรีสุข/srisuk ทองดี/thongdee แสงจันทร์/saengchan บุญมา/boonma รักไทย/rakthai", "",
        (("กรุงเทพมหานคร", "", "101##"), ("เชียงใหม่", "", "502##"), ("ภูเก็ต", "", "830##")),
        ("## ถนนสุขุมวิท", "## ถนนเจริญกรุง", "## ถนนพระราม", "## ถนนสีลม"),
    ),
)  # fmt: skip

WEIGHTED_CULTURES: Final = (*CULTURES[:1] * 8, *CULTURES[1:2] * 3, *CULTURES[2:4] * 2, *CULTURES[4:])
"""Cultures, repeated by their frequency among customers."""

EXTRA_METADATA: Final[tuple[dict[str, Any], ...]] = (
    {},
    {},
    {"visits": 3},
    {"visits": 17, "score": 0.75},
    {"tags": ["vegan", "café"]},
    {"tags": [], "visits": 0},
    {"store": "Łódź – Piotrkowska", "opted_out_at": None},
    {"sizes": [38, 40.5], "employee": True, "note": None},
)
"""Additional metadata with values of all JSON types."""
DESCRIPTIONS: Final = ("Asked to be called in the morning", "Müşteri: lütfen Türkçe yazın", "来店のお客様 🌸")

PRODUCTS: Final = (
    ("espresso-250g", "Espresso, 250 g", 1290),
    ("tea-čaj-100g", "Čaj, 100 g", 890),
    ("mug-blue", "Mug, blue", 1500),
    ("grinder", "Hand grinder", 8900),
    ("抹茶-30g", "抹茶 30 g", 2400),
    ("subscription", "Coffee of the month", 1990),
)
"""Products: source id, name, and price in hundredths."""

TIERS: Final = (("bronze", 0, 99), ("silver", 100, 499), ("gold", 500, 1_000_000))
"""Loyalty tiers: name, first and last number of points."""

CAMPAIGNS: Final[tuple[tuple[str, str, dict[str, Any] | None], ...]] = (
    ("Loyal Friends", "LOYALTY_PROGRAM", None),
    ("Gift Cards", "GIFT_VOUCHERS", None),
    ("Bring a Friend", "REFERRAL_PROGRAM", {"type": "PERCENT", "percent_off": 15.0}),
    ("Free Delivery Week", "PROMOTION", {"type": "AMOUNT", "amount_off": 490}),
    ("Welcome", "DISCOUNT_COUPONS", {"type": "AMOUNT", "amount_off": 1000}),
    ("Día del café", "DISCOUNT_COUPONS", {"type": "PERCENT", "percent_off": 20.0}),
    (
        "One for free",
        "DISCOUNT_COUPONS",
        {"type": "UNIT", "unit_off": 1, "unit_type": "mug-blue", "effect": "ADD_NEW_ITEMS"},
    ),
    ("Fixed price", "DISCOUNT_COUPONS", {"type": "FIXED", "fixed_amount": 990}),
)
"""Campaigns: name, type, and discount of the vouchers. The first four are the only ones of their types."""

REWARDS: Final = ("Free espresso", "Mug of the year")
CUSTOM_EVENTS: Final = ("newsletter_read", "app_installed", "été_terrasse")
"""Names of custom events."""
MESSAGES: Final = ("Welcome!", "We miss you", "Ваша карта", "お誕生日おめでとう")
CHANNELS: Final = (
    "email", "sms", "braze", "klaviyo", "mailchimp", "intercom", "activecampaign", "shopify", "batch",
)  # fmt: skip
