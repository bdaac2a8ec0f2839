"""What a state changes in the views: only what differs, and only in those of its kind."""

from uuid import UUID

from shared.runtime.kernel.view import View, ViewWrite, changes

ID = UUID(int=7)
LONG = View("long", lambda state: {"words": len(state)} if len(state) > 1 else None)
SEALS = View("seals", lambda state: {"seal": state}, kind="seal")


def test_a_row_is_written_where_it_differs_and_taken_away_where_there_is_none_any_more() -> None:
    def changed(before: str | None, now: str) -> list[str | None]:
        return [one.row for one in changes((LONG, SEALS), ID, "dossier", before, now)]

    row = '{"dossier_id":"00000000-0000-0000-0000-000000000007","words":2}'
    assert changed("a", "ab") == [row]
    assert changed("ab", "cd") == []
    assert changed("ab", "a") == [None]
    assert changed("a", "b") == []
    assert (changed(None, "ab"), changed(None, "a")) == ([row], [None]), "whatever was there, nobody knows it"


def test_a_view_has_rows_of_its_kind_of_subject_only() -> None:
    row = '{"dossier_id":"00000000-0000-0000-0000-000000000007","seal":"ab"}'
    assert list(changes((LONG, SEALS), ID, "seal", "a", "ab")) == [ViewWrite("seals", ID, row)]
