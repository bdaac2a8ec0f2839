"""Answers, as the rows of the table name them: status and code."""

NOT_JSON, FAULTS = (400, "DOS-INT-005"), (422, "DOS-INT-001")
LARGE_HEAD = (431, "DOS-INT-431")
TOO_LARGE, OTHER_TYPE = (413, "DOS-INT-006"), (415, "DOS-INT-008")
NOBODY, NOT_YOU, NO_DOSSIER = (401, "DOS-SEC-001"), (403, "DOS-SEC-003"), (404, "DOS-SEC-002")
KEYLESS = " idempotency-key"
NO_KEY, OTHER_BODY, ILLEGAL = (400, "DOS-INT-002", (KEYLESS,)), (422, "DOS-INT-003"), (409, "DOS-INT-010")
NO_PAGE, NO_METHOD = (404, "DOS-INT-404"), (405, "DOS-INT-405")

MARK = "Nguyễn Thị Dấu Vết"
OFFICER, OTHER, APP_B = "officer", "other-officer", "citizen-app-b"
REGISTERED = "/v1/dossiers/{registered}"
