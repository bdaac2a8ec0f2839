"""Helps with asyncio that know nothing of dossiers: deadlines, coalesced questions, pacing, work on several cores."""
