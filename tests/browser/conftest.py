"""Fixtures of the browser tests: a real Chromium, and reports opened in it."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from opened import Opened
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from pytest_remex.report import write_report

LOCAL = ("file:", "data:", "blob:", "about:")
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,1000",
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Return a Chromium; skip the test if there is none, or fail it if CI=true."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse("the report is tested in Debian's chromium with chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(programs[1]))
    yield driver
    driver.quit()


@pytest.fixture
def downloads(chromium, tmp_path):
    """Return the folder that the browser saves files to."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    behavior = {"behavior": "allow", "downloadPath": str(folder)}
    chromium.execute_cdp_cmd("Browser.setDownloadBehavior", behavior)
    return folder


@pytest.fixture
def clipboard(chromium):
    """Return a function that returns what was copied."""
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    chromium.execute_cdp_cmd("Browser.grantPermissions", permissions)
    return lambda: chromium.execute_script("return navigator.clipboard.readText()")


@pytest.fixture
def show(chromium, tmp_path):
    """Return a function that writes and opens a report, which must log no error, load nothing."""
    folder = tmp_path / "polytropes"
    folder.mkdir()

    errors(chromium), requests(chromium)  # what came before this test

    def show(page, stage="figures", fragment=""):
        write_report(folder / "report.html", page)
        chromium.get((folder / "report.html").as_uri() + fragment)
        return Opened(chromium, folder).wait(stage)

    yield show
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert errors(chromium) == []
    assert requests(chromium) == set()
    chromium.get("about:blank")


def errors(driver):
    """Return what the page complained of on the console."""
    return [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"]


def requests(driver):
    """Return the addresses on other machines that pages from disk asked for since the last look."""
    log = [json.loads(line["message"])["message"] for line in driver.get_log("performance")]
    asked = [one["params"] for one in log if one["method"] == "Network.requestWillBeSent"]
    return {
        one["request"]["url"]
        for one in asked
        if one["documentURL"].startswith("file:") and not one["request"]["url"].startswith(LOCAL)
    }
