"""What every notice says, in Vietnamese and English: subjects and bodies, filled in by `texts.py`."""

from collections.abc import Mapping

from shared.law.entries import Locale

SUBJECTS: Mapping[str, Mapping[Locale, str]] = {
    "submission": {"vi": "đã nhận được hồ sơ", "en": "application received"},
    "supplement": {"vi": "đề nghị bổ sung", "en": "please complete it"},
    "supplement-reminder": {"vi": "nhắc bổ sung, sắp hết hạn", "en": "reminder: please complete it"},
    "supplement-lapsed": {"vi": "đã quá hạn bổ sung", "en": "what was asked for has not come in time"},
    "supplement-received": {"vi": "đã nhận phần bổ sung", "en": "what you supplied has come"},
    "payment-due": {"vi": "thông báo nộp phí, lệ phí", "en": "fee to be paid"},
    "payment-failed": {"vi": "thanh toán không thành công", "en": "a payment attempt failed"},
    "payment-received": {"vi": "đã nhận phí, lệ phí", "en": "payment received"},
    "payment-duplicate": {"vi": "nộp trùng phí, lệ phí", "en": "the fee was paid twice"},
    "waiver": {"vi": "được miễn phí, lệ phí", "en": "no fee to be paid: waived"},
    "no-fee": {"vi": "không phải nộp phí, lệ phí", "en": "no fee to be paid"},
    "acceptance": {"vi": "đã tiếp nhận, hẹn trả kết quả", "en": "accepted, date of the result"},
    "processing": {"vi": "bắt đầu giải quyết", "en": "work on it has begun"},
    "refusal": {"vi": "không được tiếp nhận", "en": "not accepted"},
    "result": {"vi": "đã có kết quả", "en": "the result is ready"},
    "returned": {"vi": "đã trả kết quả", "en": "the result has been handed over"},
}

BODIES: Mapping[str, Mapping[Locale, str]] = {
    "submission": {
        "vi": """Cơ quan đã nhận được hồ sơ của ông/bà, nộp lúc {submitted_at}.
{missing}
Tiếp theo:
  - Thông tin của ông/bà được đối chiếu với Cơ sở dữ liệu quốc gia về dân cư.
  - Nếu phải nộp phí, lệ phí, ông/bà sẽ nhận được thông báo nộp.
  - Chậm nhất {accept_by}, cơ quan tiếp nhận, đề nghị bổ sung hoặc từ chối hồ sơ. Nếu phải nộp phí, lệ phí, thời hạn \
này được tính lại từ khi ông/bà nộp xong.""",
        "en": """The agency has received your application, filed at {submitted_at}.
{missing}
What comes next:
  - Your data are checked against the national population database.
  - If a fee is due, you will be told how to pay it.
  - By {accept_by} at the latest the agency accepts the application, asks for what is missing, or refuses it. If a fee \
is due, this time begins again once you have paid.""",
    },
    "supplement": {
        "vi": """Hồ sơ của ông/bà chưa thể được tiếp nhận. Đề nghị ông/bà bổ sung, chậm nhất {respond_by}:
{wanted}
{note}
Ông/bà gửi đầy đủ trong một lần, tại nơi đã nộp hồ sơ (cổng hoặc ứng dụng dịch vụ công, hoặc Bộ phận Một cửa của cơ \
quan), và ghi rõ mã hồ sơ.

Sau khi nhận đủ, cơ quan có 8 giờ làm việc để tiếp nhận, đề nghị bổ sung hoặc từ chối hồ sơ. Nếu phải nộp phí, lệ phí, \
thời hạn này được tính lại từ khi ông/bà nộp xong.""",
        "en": """Your application cannot be accepted yet. Please supply, by {respond_by} at the latest:
{wanted}
{note}
Send everything at once, where you filed the application (the public service portal or app, or the agency's service \
counter), and state the dossier code.

When everything has come, the agency has 8 working hours to accept the application, ask for what is missing, or refuse \
it. If a fee is due, this time begins again once you have paid.""",
    },
    "supplement-reminder": {
        "vi": """Cơ quan chưa nhận được phần bổ sung của ông/bà cho hồ sơ này. Thời hạn bổ sung sắp hết: chậm nhất \
{respond_by}.
{wanted}

Ông/bà gửi đầy đủ trong một lần, tại nơi đã nộp hồ sơ (cổng hoặc ứng dụng dịch vụ công, hoặc Bộ phận Một cửa của cơ \
quan), và ghi rõ mã hồ sơ. Nếu ông/bà đã gửi sau khi thư này được viết, ông/bà không phải làm gì thêm.

Quá thời hạn trên mà chưa bổ sung, cơ quan có thể từ chối tiếp nhận hồ sơ.""",
        "en": """The agency has not received what it asked you to supply for your application. The time for it is \
nearly over. It must come by {respond_by} at the latest:
{wanted}

Send everything at once, where you filed the application (the public service portal or app, or the agency's service \
counter), and state the dossier code. If you have sent it since this was written, there is nothing more for you to do.

If it has not come by then, the agency may refuse the application.""",
    },
    "supplement-lapsed": {
        "vi": """Thời hạn bổ sung hồ sơ của ông/bà đã hết lúc {respond_by}, và cơ quan chưa nhận được phần bổ sung đã \
đề nghị.
{wanted}

Tiếp theo, cơ quan có 8 giờ làm việc để quyết định: từ chối tiếp nhận hồ sơ, hoặc đề nghị ông/bà bổ sung lại. Nếu \
phải nộp phí, lệ phí, thời hạn này được tính lại từ khi ông/bà nộp xong. Ông/bà sẽ nhận được thông báo.

Phần bổ sung gửi từ lúc này không được nhận nữa; nếu ông/bà vẫn muốn bổ sung, xin liên hệ ngay cơ quan nêu dưới đây. \
Nếu hồ sơ bị từ chối, ông/bà có thể nộp hồ sơ mới.""",
        "en": """The time to complete your application ended at {respond_by}, and what the agency asked for has not \
come.
{wanted}

What comes next: the agency has 8 working hours to decide. It may refuse the application, or ask you again to complete \
it. If a fee is due, this time begins again once you have paid. You will be told.

What you send from now on is not taken any more; if you still want to complete it, please ask the agency named below \
at once. If the application is refused, you can file a new one.""",
    },
    "supplement-received": {
        "vi": """Cơ quan đã nhận phần bổ sung của ông/bà cho hồ sơ này, lúc {at}.
{came}
Hiện ông/bà không phải làm gì thêm. Tiếp theo:
  - Nếu ông/bà đã khai lại thông tin, thông tin mới được đối chiếu với Cơ sở dữ liệu quốc gia về dân cư.
  - Trong 8 giờ làm việc kể từ lúc nhận, cơ quan tiếp nhận, đề nghị bổ sung hoặc từ chối hồ sơ. Nếu phải nộp phí, lệ \
phí, thời hạn này được tính lại từ khi ông/bà nộp xong.""",
        "en": """The agency has received what you supplied for your application, at {at}.
{came}
There is nothing more for you to do now. What comes next:
  - If you have stated your data again, the new ones are checked against the national population database.
  - Within 8 working hours of that time the agency accepts the application, asks for what is missing, or refuses it. \
If a fee is due, this time begins again once you have paid.""",
    },
    "payment-due": {
        "vi": """Để được tiếp nhận, hồ sơ của ông/bà cần nộp phí, lệ phí: {amount}.
{favour}Đề nghị ông/bà nộp trực tuyến tại trang thanh toán:
{pay_url}

Khi khoản nộp được ghi nhận, ông/bà sẽ nhận được thông báo; từ lúc đó cơ quan có 8 giờ làm việc để tiếp nhận, đề nghị \
bổ sung hoặc từ chối hồ sơ. Nếu hồ sơ đang chờ ông/bà bổ sung, thời hạn này tính từ khi bổ sung đủ. Hồ sơ chưa được \
tiếp nhận khi chưa nộp phí, lệ phí.""",
        "en": """Before your application can be accepted, a fee is due: {amount}.
{favour}Please pay online on this page:
{pay_url}

You will be told when the payment has been recorded; from then the agency has 8 working hours to accept the \
application, ask for what is missing, or refuse it. If something is still awaited from you, this time begins when it \
has come. The application is not accepted before the fee is paid.""",
    },
    "payment-failed": {
        "vi": """Ngân hàng báo: lúc {at}, một lần thanh toán {amount} phí, lệ phí cho hồ sơ của ông/bà không thành \
công. Phí, lệ phí chưa được ghi nhận là đã nộp.

Đề nghị ông/bà thanh toán lại tại trang sau:
{pay_url}

Không có thời hạn riêng cho việc nộp, nhưng hồ sơ chưa được tiếp nhận khi chưa nộp phí, lệ phí. Nếu tài khoản của \
ông/bà đã bị trừ tiền cho lần này, xin hỏi ngân hàng của ông/bà trước khi thanh toán lại. Nếu ông/bà đã thanh toán \
thành công sau lần này, ông/bà không phải làm gì thêm.""",
        "en": """The bank tells us that at {at} an attempt to pay {amount} for your application failed. The fee is not \
recorded as paid.

Please pay again on this page:
{pay_url}

There is no time limit of its own for paying, but the application is not accepted before the fee is paid. If your \
account was charged for this attempt, please ask your bank before you pay again. If you have paid successfully since, \
there is nothing more for you to do.""",
    },
    "payment-received": {
        "vi": """Đã nhận {amount} phí, lệ phí cho hồ sơ của ông/bà. Ông/bà không phải nộp lại.
{failed}
Tiếp theo, cơ quan có 8 giờ làm việc kể từ khi ghi nhận khoản nộp để tiếp nhận, đề nghị bổ sung hoặc từ chối hồ sơ. \
Nếu hồ sơ đang chờ ông/bà bổ sung, thời hạn này tính từ khi bổ sung đủ.""",
        "en": """We have received {amount} for your application. You need not pay again.
{failed}
What comes next: from the time when the payment was recorded the agency has 8 working hours to accept the application, \
ask for what is missing, or refuse it. If something is still awaited from you, this time begins when it has come.""",
    },
    "payment-received-refused": {
        "vi": """Đã nhận {amount} phí, lệ phí cho hồ sơ của ông/bà, là hồ sơ mà cơ quan đã không tiếp nhận. Khoản \
nộp không làm thay đổi việc không tiếp nhận.

Ông/bà không phải nộp thêm. Về việc hoàn trả khoản đã nộp, xin liên hệ cơ quan nêu dưới đây.""",
        "en": """We have received {amount} for your application, which the agency has refused. The payment does not \
change the refusal.

You need not pay anything more. About the return of this payment, please ask the agency named below.""",
    },
    "payment-duplicate": {
        "vi": """Ngân hàng báo: phí, lệ phí cho hồ sơ của ông/bà đã được nộp thêm một lần nữa, {amount}, mã giao dịch \
{transaction_no}, ghi nhận lúc {at}. Phí, lệ phí chỉ phải nộp một lần.

Khoản nộp thừa {amount} sẽ được hoàn trả cho ông/bà. Ông/bà không phải làm gì lúc này; xin giữ chứng từ của cả hai lần \
thanh toán. Về việc hoàn trả, ông/bà có thể hỏi cơ quan nêu dưới đây và cho biết mã giao dịch trên.""",
        "en": """The bank tells us that the fee for your application was paid a second time: {amount}, transaction \
{transaction_no}, recorded at {at}. The fee is to be paid only once.

The second {amount} will be refunded to you. There is nothing for you to do now; please keep the receipts of both \
payments. About the refund you can ask the agency named below and state the transaction number above.""",
    },
    "waiver": {
        "vi": """Hồ sơ của ông/bà được miễn phí, lệ phí. Ông/bà không phải nộp khoản nào.
Căn cứ: {basis}

Tiếp theo, cơ quan có 8 giờ làm việc kể từ {at} để tiếp nhận, đề nghị bổ sung hoặc từ chối hồ sơ. Nếu hồ sơ đang chờ \
ông/bà bổ sung, thời hạn này tính từ khi bổ sung đủ.""",
        "en": """The fee for your application is waived. You need not pay anything.
Legal basis: {basis}

What comes next: the agency has 8 working hours from {at} to accept the application, ask for what is missing, or \
refuse it. If something is still awaited from you, this time begins when it has come.""",
    },
    "no-fee": {
        "vi": """Hồ sơ của ông/bà không phải nộp phí, lệ phí, nên đề nghị miễn, giảm của ông/bà không cần được xét. \
Ông/bà không phải nộp khoản nào và không phải làm gì thêm về việc này.

Tiếp theo, cơ quan tiếp nhận, đề nghị bổ sung hoặc từ chối hồ sơ trong thời hạn đã báo cho ông/bà khi nhận hồ sơ.""",
        "en": """No fee is due for your application, so your claim to a waiver or reduction need not be considered. \
You need not pay anything, and there is nothing more for you to do about it.

What comes next: the agency accepts the application, asks for what is missing, or refuses it within the time that you \
were told when it was received.""",
    },
    "acceptance": {
        "vi": """Cơ quan đã tiếp nhận hồ sơ của ông/bà.
Hẹn trả kết quả: chậm nhất {due_at}.

Hiện ông/bà không phải làm gì thêm. Khi có kết quả, ông/bà sẽ nhận được thông báo.""",
        "en": """The agency has accepted your application.
The result is due by {due_at}.

There is nothing more for you to do now. You will be told when the result is ready.""",
    },
    "processing": {
        "vi": """Cơ quan đã bắt đầu giải quyết hồ sơ của ông/bà, lúc {at}.
Hẹn trả kết quả: {due}.

Hiện ông/bà không phải làm gì thêm. Khi có kết quả, ông/bà sẽ nhận được thông báo.""",
        "en": """The agency has begun to work on your application, at {at}.
The result is due {due}.

There is nothing more for you to do now. You will be told when the result is ready.""",
    },
    "refusal": {
        "vi": """Cơ quan không tiếp nhận hồ sơ của ông/bà.
Lý do: {reason}
{note}
{then} Nếu không đồng ý, ông/bà có quyền khiếu nại theo Luật \
Khiếu nại 02/2011/QH13.""",
        "en": """The agency does not accept your application.
Reason: {reason}
{note}
{then} If you do not agree, you have the right to complain under \
the Law on Complaints (Luật Khiếu nại 02/2011/QH13).""",
    },
    "result": {
        "vi": """Hồ sơ của ông/bà đã có kết quả. Mời ông/bà nhận kết quả theo hình thức đã đăng ký.

Nếu nhận trực tiếp tại Bộ phận Một cửa, ông/bà mang theo giấy tờ tùy thân và cho biết mã hồ sơ.""",
        "en": """The result of your application is ready. You can receive it in the way you chose.

If you come to the agency's service counter, bring an identity paper and state the dossier code.""",
    },
    "returned": {
        "vi": """Kết quả giải quyết hồ sơ đã được trả cho ông/bà{handover}, lúc {at}. Việc giải quyết hồ sơ đã hoàn \
tất; ông/bà không phải làm gì thêm.

Nếu ông/bà không nhận được kết quả, hoặc kết quả có sai sót, xin báo ngay cho cơ quan nêu dưới đây.""",
        "en": """The result of your application was handed over to you{handover}, at {at}. The application is \
closed; there is nothing more for you to do.

If the result has not reached you, or if something in it is wrong, please tell the agency named below at once.""",
    },
}
