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
        """Wait until what is given holds, and return its value."""
        return WebDriverWait(self.driver, PATIENCE).until(lambda _: true())

    def resize(self, width, height=900):
        """Set the window's size, as of a phone or a large screen; the next page has its own."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def one(self, selector):
        """Return the first element that a CSS selector finds."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        """Return the elements that a CSS selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script, *arguments):
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def header(self, title):
        """Return the header cell of a column."""
        return next(cell for cell in self.all("thead th") if cell.text.strip() == title)

    def column(self, title):
        """Return the texts of a column, on the page of the table that is shown."""
        place = self.all("thead th").index(self.header(title)) + 1
        return [cell.text for cell in self.all(f"#table tbody td:nth-child({place})")]

    def search(self, text):
        """Search all columns for text."""
        self.run("arguments[0].value = ''", self.one("#search"))
        self.one("#search").send_keys(text)
        said = "return JSON.parse(decodeURIComponent(location.hash.slice(1)) || '{}').q"
        self.until(lambda: self.run(said) == text)

    def count(self):
        """Return the line that says how many experiments are selected."""
        return self.one("#count").text

    def chips(self):
        """Return the filters that are shown as set."""
        return [
            chip.text.removesuffix(" \N{MULTIPLICATION SIGN}") for chip in self.all("#chips button")
        ]

    def press(self, text, within="body"):
        """Press the button with this text, and return it."""
        button = next(b for b in self.all(f"{within} button") if b.text.strip() == text)
        self.run("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()
        return button

    def menu(self, title, item):
        """Open a menu of the bar and press one of its buttons."""
        menu = next(m for m in self.all("#bar .menu") if m.text.startswith(title))
        menu.find_element(By.TAG_NAME, "summary").click()
        next(b for b in menu.find_elements(By.TAG_NAME, "button") if b.text == item).click()

    def tab(self, title):
        """Show another view."""
        name = self.press(title, "#tabs").get_dom_attribute("id")
        self.until(lambda: self.one("#view").get_attribute("data-shown") == name[4:])

    def settings(self):
        """Return the selects above the figure, by their label."""
        boxes = self.all(".choices label:has(select)")
        return {
            box.text.split("\n")[0].strip(): Select(box.find_element(By.TAG_NAME, "select"))
            for box in boxes
        }

    def choose(self, label, option):
        """Choose an option above the figure."""
        self.settings()[label].select_by_visible_text(option)

    def options(self, label):
        """Return the options above the figure."""
        return [option.text for option in self.settings()[label].options]

    def chosen(self):
        """Return what is chosen above the figure."""
        return {name: box.first_selected_option.text for name, box in self.settings().items()}

    def check(self, label):
        """Tick or untick a box above the figure."""
        next(b for b in self.all(".choices .check") if b.text.strip() == label).click()

    def figure(self, at=0):
        """Return the option that ECharts draws."""
        script = (
            "return JSON.parse(JSON.stringify(echarts.getInstanceByDom("
            "document.querySelectorAll('.figure')[arguments[0]]).getOption()))"
        )
        return self.run(script, at)

    def series(self, kind):
        """Return the figure's visible series of a kind that have data."""
        return [one for one in self.figure()["series"] if one["type"] == kind and one["data"]]

    def pixel(self, x, y, panel=0):
        """Return where in the window a point of the figure lies, by its data."""
        self.run("document.querySelector('.figure').scrollIntoView({block: 'center'})")
        script = """
            const box = document.querySelector('.figure');
            const {left, top} = box.getBoundingClientRect();
            const chart = echarts.getInstanceByDom(box);
            const [column, line, gridIndex] = arguments;
            const [x, y] = chart.convertToPixel({gridIndex}, [column, line]);
            return [Math.round(left + x), Math.round(top + y)];
        """
        return self.run(script, x, y, panel)

    def axis_pixel(self, name, share):
        """Return where in the window a share of an axis's height lies, in parallel coordinates."""
        self.run("document.querySelector('.figure').scrollIntoView({block: 'center'})")
        script = """
            const box = document.querySelector('.figure');
            const {left, top} = box.getBoundingClientRect();
            const model = echarts.getInstanceByDom(box).getModel();
            const axes = model.queryComponents({mainType: 'parallelAxis'});
            const at = axes.findIndex((axis) => axis.option.name === arguments[0]);
            const frame = model.getComponent('parallel').coordinateSystem;
            const {position: [x, y]} = frame.getAxisLayout(`dim${at}`);
            const up = arguments[1] * frame.getRect().height;
            return [Math.round(left + x), Math.round(top + y - up)];
        """
        return self.run(script, name, share)

    def click(self, place):
        """Click at a place in the window."""
        actions = self._actions()
        actions.w3c_actions.pointer_action.move_to_location(*place).pause(0.2).click()
        actions.perform()

    def drag(self, start, end):
        """Drag from a place in the window to another."""
        actions = self._actions()
        pointer = actions.w3c_actions.pointer_action
        middle = [(a + b) // 2 for a, b in zip(start, end, strict=True)]
        pointer.move_to_location(*start).pointer_down().pause(0.1).move_to_location(*middle)
        pointer.pause(0.1).move_to_location(*end).pause(0.2).pointer_up()
        actions.perform()

    def _actions(self):
        return ActionChains(self.driver, duration=50)

    def opened(self):
        """Return the opened details of rows."""
        return self.all("td.child .details")

    def answer(self):
        """Return the milliseconds that the last change of the selection took, figure included."""
        return self.run("return performance.getEntriesByName('answer').at(-1).duration")
