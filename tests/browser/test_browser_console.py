"""The console in a real Chromium, against the real server with emulated vendors."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs
import pytest
from playwright.async_api import expect

from musicgate.model import Job, JobState, Secret
from tests.browser.console_page import console
from tests.browser.prefix_proxy import behind_prefix
from tests.e2e.running_server import JOBS, UNFINISHED, running_server
from tests.job_samples import NOW, ended, make_job
from tests.webhook_receivers import receiving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

    from musicgate.hosting.discovery import PluginHost
    from tests.e2e.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

MARKUP = "<img src=x onerror='window.hacked = 1'>"


def numbered(number: int) -> Job:
    """A finished job with a number in its prompt; every tenth one has failed."""
    job = ended(make_job(f"music_{number:026}", account="test", age_s=1000 - number))
    return attrs.evolve(
        job,
        request=attrs.evolve(job.request, metadata={"prompt": f"rain {number}"}),
        updated_at=NOW + timedelta(seconds=number),
        state=job.state if number % 10 else JobState.FAILED,
    )


async def test_a_song_from_the_form_to_hearing_it(browser: Browser, server: RunningServer) -> None:
    async with console(browser, server.url) as tab:
        page = tab.page
        await tab.visit()
        await tab.field("API key").fill("wrong")
        await tab.press("Sign in")
        await tab.see("this key is not known here")
        await tab.check()
        await tab.sign_in()
        assert await page.evaluate("[Object.values(sessionStorage), localStorage.length]") == [
            ["test-key-not-real"],
            0,
        ]
        await tab.choose("suno/v5.5")
        await tab.field("Prompt").fill("slow rain")
        await tab.field("Duration").fill("0")
        await page.get_by_text("Options of suno alone").click()
        await tab.field("Style weight").fill("7")
        # Both fields have the server's own words, and a reader of the screen hears them with the field.
        for label, words in (("Duration", "must be greater than 0"), ("Style weight", "must be at most 1")):
            await expect(tab.field(label)).to_have_attribute("aria-invalid", "true")
            await expect(tab.field(label)).to_have_accessible_description(re.compile(words))
        await tab.field("Style weight").fill("")
        await tab.field("Duration").fill("30")
        await expect(page.locator(".candidate.first .price")).to_have_text("$0.06")
        await expect(tab.field("Duration")).to_have_accessible_description(re.compile("Suno takes a length"))
        await tab.check()
        await tab.press("Make it for $0.06")
        await tab.see("Completed")
        await tab.heading("Midnight Blue")
        await expect(page.locator(".waveform canvas").first).to_be_attached()
        heard = await tab.hear()
        assert heard["duration"] == pytest.approx(3, abs=0.5)
        # One plays at a time.
        await tab.hear(1)
        assert (await tab.audio(0))["paused"]
        async with page.expect_download() as starting:
            await page.get_by_role("link", name="Download Midnight Blue, track 1 as flac").click()
        download = await starting.value
        assert download.suggested_filename == "Midnight Blue.flac"
        assert (await download.path()).read_bytes()[:4] == b"fLaC"
        await tab.check()
        await page.keyboard.press("Control+Home")
        await tab.press("Sign out")
        await tab.heading("Sign in")
        assert await page.evaluate("sessionStorage.length") == 0


async def test_a_song_is_heard_while_it_is_made_and_cancelled(
    browser: Browser, server: RunningServer
) -> None:
    async with console(
        browser, server.url, color_scheme="dark", viewport={"width": 390, "height": 844}
    ) as tab:
        await tab.sign_in()
        await tab.choose("suno/v5")
        await tab.field("Prompt").fill("rain [emulate stuck=TEXT_SUCCESS song_s=20 callbacks=off]")
        await tab.submit()
        await expect(tab.page.locator(".live").first).to_be_visible()
        heard = await tab.hear()
        assert "/stream/0" in heard["src"]
        await tab.check()
        await tab.press("Cancel …")
        await tab.press("Cancel the job")
        await tab.see("Cancelled")
        await tab.see("It may have cost money.")
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await tab.page.evaluate(overflow) == 0


async def test_what_a_vendor_says_is_text_and_never_markup(browser: Browser, server: RunningServer) -> None:
    async with console(browser, server.url) as tab:
        failing = f"end=GENERATE_AUDIO_FAILED error_code=531 error_message={MARKUP.replace(' ', '_')}"
        named = await server.generate(
            {
                "model": "suno/v5",
                "provider": {"only": ["suno_kie"]},
                "title": MARKUP,
                "style": "rain",
                "lyrics": MARKUP,
                "instrumental": False,
            }
        )
        assert named["output"][0]["title"] == MARKUP
        await tab.sign_in("make")
        await tab.choose("suno/v5")
        await tab.field("Provider").select_option("suno_kie")
        await tab.field("Prompt").fill(f"rain [emulate {failing}]")
        await tab.submit()
        await expect(tab.page.locator(".status.failed")).to_be_visible()
        await expect(tab.page.locator(".problem")).to_contain_text("<img")
        await tab.check()
        await tab.visit(f"jobs/{named['id']}")
        await tab.heading(MARKUP)
        await tab.visit("jobs")
        await expect(tab.page.locator(".row-title").first).to_contain_text("rain [emulate")
        # Nothing of it was an element, and a script in the page would not have run.
        assert await tab.page.locator("img").count() == 0
        ran = """() => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
            return window.hacked;
        }"""
        assert await tab.page.evaluate(ran) is None


async def test_a_webhook_is_sent_again(browser: Browser, server: RunningServer) -> None:
    async with receiving() as receiver, console(browser, server.url) as tab:
        await tab.sign_in()
        await tab.choose("suno/v5")
        await tab.field("Prompt").fill("rain")
        await tab.page.get_by_text("Delivery").click()
        await tab.field("Webhook URL").fill(receiver.url)
        await tab.submit()
        message = tab.page.locator(".webhook")
        await expect(message.locator(".badge")).to_have_text("Delivered")
        await expect(message.locator("li")).to_contain_text(["HTTP 204"])
        await tab.press("Send again")
        first, second = await receiver.until(2)
        assert first.id == second.id
        await expect(message.locator("li")).to_contain_text(["HTTP 204", "HTTP 204"])
        await tab.check()


async def test_two_vendors_are_compared_by_ear_cost_and_time(browser: Browser, server: RunningServer) -> None:
    async with console(browser, server.url) as tab:
        await tab.sign_in("compare")
        await tab.choose("suno/v5", "Model A")
        await tab.choose("minimax/music-2.6", "Model B")
        await tab.field("Prompt").fill("slow tango [emulate song_s=3]")
        await expect(tab.page.locator(".candidate.first .price")).to_have_text(["$0.06", "$0.15"])
        await tab.check()
        await tab.press("Make both for $0.21")
        await expect(tab.page.locator(".halves .status.completed")).to_have_count(2)
        costs = tab.page.get_by_role("row", name="Cost").locator("td")
        await expect(costs).to_have_text(["$0.06 (less)", "$0.15"])
        await tab.hear(0)
        sides = tab.page.locator(".halves > section")
        await sides.nth(1).locator(".play").click()
        await tab.until_heard(await tab.page.locator("audio").count() - 1)
        assert (await tab.audio(0))["paused"]
        await tab.check()


async def test_a_lost_connection_is_told_and_comes_back_behind_a_path_prefix(
    browser: Browser, server: RunningServer
) -> None:
    async with behind_prefix(server.url) as proxy, console(browser, proxy.url) as tab:
        job = (await server.create({**UNFINISHED, "metadata": {"prompt": "rain"}})).body
        await tab.sign_in(f"jobs/{job['id']}")
        await tab.see("In progress")
        await proxy.stop()
        await tab.see("The connection to the server is lost.")
        await server.call("POST", f"{JOBS}/{job['id']}/cancel")
        await proxy.start()
        await expect(tab.page.get_by_text("The connection to the server is lost.")).to_have_count(0)
        await tab.see("Cancelled")
        await tab.visit("providers")
        await expect(tab.page.locator(".cards section")).to_have_count(6)
        await tab.check()


async def test_a_thousand_jobs_are_scrolled_and_filtered(browser: Browser, server: RunningServer) -> None:
    store = server.gateway._context.store
    await asyncio.gather(*(store.add(numbered(number), []) for number in range(1000)))
    async with console(browser, server.url) as tab:
        await tab.sign_in("jobs")
        await tab.field("Model").select_option("suno/v4")
        rows = tab.page.locator(".row")
        for _ in range(100):
            if await rows.count() >= 1000:
                break
            await tab.page.mouse.wheel(0, 20_000)
            await tab.page.wait_for_timeout(30)
        await expect(rows).to_have_count(1000)
        await tab.see("1000 jobs shown, there are no more")
        await expect(rows.last).to_contain_text("rain 0")
        await tab.page.get_by_role("radio", name="Failed").check()
        await expect(rows.first).to_contain_text("rain 990")
        await tab.check()
        await rows.first.focus()
        await tab.page.keyboard.press("Enter")
        await tab.heading("rain 990")


async def test_an_administrator_makes_and_revokes_keys(
    browser: Browser, tmp_path: Path, plugins: PluginHost
) -> None:
    admin_key = "admin-key-not-real-0123456789"
    secret = {"admin_key": Secret(admin_key)}
    async with (
        running_server(tmp_path, plugins, server=secret) as guarded,
        console(browser, guarded.url) as tab,
    ):
        await tab.sign_in(key=admin_key)
        await tab.heading("Keys")
        await tab.field("Name").fill("studio")
        await tab.field("Dollars a day").fill("much")
        await tab.press("Make an account")
        await expect(tab.field("Dollars a day")).to_have_attribute("aria-invalid", "true")
        await tab.field("Dollars a day").fill("5")
        await tab.press("Make an account")
        await expect(tab.field("Account")).to_have_value("studio")
        await tab.field("Name").first.fill("build server")
        await tab.press("Make a key")
        made = await tab.field("The new key").input_value()
        await tab.check()
        await tab.press("I have it")
        await expect(tab.field("The new key")).to_have_count(0)
        await tab.press("Sign out")
        await tab.sign_in("usage", made)
        await tab.see("Nothing was used in this time.")
        await expect(tab.page.get_by_role("link", name="Keys")).to_have_count(0)
        await tab.check()
        await tab.press("Sign out")
        await tab.sign_in("keys", admin_key)
        await tab.press("Revoke …")
        await tab.press("Revoke it now")
        await tab.see("Revoked")
        await tab.press("Sign out")
        await tab.field("API key").fill(made)
        await tab.press("Sign in")
        await tab.see("this key is not known here")
