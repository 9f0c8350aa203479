"""A report opened in a browser, by what its reader sees and does."""

from __future__ import annotations

from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE = 60  # seconds: a busy machine draws slowly


class Opened:
    """A page, its table, its figure."""

    def __init__(self, driver, folder):
        self.driver = driver
        self.folder = folder

    def wait(self, stage):
        """Wait until the page has come to a stage: `table`, then `figures`."""
        script = "return performance.getEntriesByName(arguments[0]).length > 0"
        self.until(lambda: self.run(script, stage))
        return self

    def until(self, true):
        """Wait until what is given holds, and give its value."""
        return WebDriverWait(self.driver, PATIENCE).until(lambda _: true())

    def one(self, selector):
        """Give the first element that a CSS selector finds."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        """Give the elements that a CSS selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script, *arguments):
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def header(self, title):
        """Give the header cell of a column."""
        return next(cell for cell in self.all("thead th") if cell.text.strip() == title)

    def column(self, title):
        """Give the texts of a column, on the page of the table that is shown."""
        place = self.all("thead th").index(self.header(title)) + 1
        return [cell.text for cell in self.all(f"#table tbody td:nth-child({place})")]

    def search(self, text):
        """Search the table for text."""
        box = self.one(".dt-search input")
        box.clear()
        box.send_keys(text)

    def info(self):
        """Give the line that says how many experiments are shown."""
        return self.one(".dt-info").text

    def choose(self, label, option):
        """Choose an option above the figure."""
        boxes = {box.text.split("\n")[0].strip(): box for box in self.all("#choices label")}
        Select(boxes[label].find_element(By.TAG_NAME, "select")).select_by_visible_text(option)

    def options(self, label):
        """Give the options above the figure."""
        boxes = {box.text.split("\n")[0].strip(): box for box in self.all("#choices label")}
        select = Select(boxes[label].find_element(By.TAG_NAME, "select"))
        return [option.text for option in select.options]

    def figure(self):
        """Give the figure as Plotly draws it: its traces and layout."""
        script = "const f = document.getElementById('figure'); return [f.data, f.layout]"
        return self.run(script)

    def click_at(self, element, right=0, down=0):
        """Point at an element's middle, or beside it, and click."""
        actions = ActionChains(self.driver)
        actions.move_to_element_with_offset(element, right, down).pause(0.2).click().perform()

    def opened(self):
        """Give the opened details of rows."""
        return self.all("td.child .details")
