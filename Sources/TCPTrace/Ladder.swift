internal import TCPEngine
internal import TCPWire

/// Draws a trace for people: two ends, an arrow for each segment, both ends' states and clocks, and a sentence for each
/// step.
public struct Ladder {
    /// How to draw.
    public struct Style: Sendable {
        /// The language of the sentences.
        public var language = Language.english
        /// Columns of the page: 72 and more.
        public var width = 80
        /// Whether to use a terminal's colours.
        public var usesColor = false
        /// A run of at least this many segments of data and acknowledgments is drawn as one; `nil` draws each.
        public var foldsRunsOf: Int? = 5
        /// Whether losses may be folded too.
        public var foldsLosses = false

        /// English, 80 columns, no colour.
        public init() {}
    }

    let trace: Trace
    let left: String
    let right: String
    let style: Style
    let analysis: Analysis
    let narrator: Narrator
    /// The endpoints of those who are neither end.
    let strangers: Set<Endpoint>
    var output: [String] = []
    /// The time up to which things are shown, and the latest arrival among them.
    private var shown: Instant
    private var latest: Instant
    /// What has been explained.
    var told: Set<String> = []

    /// Makes a drawing of `trace` between the ends named `left` and `right`; all others are drawn on the left.
    public init(_ trace: Trace, left: String = "client", right: String = "server", style: Style = Style()) {
        self.trace = trace
        self.left = left
        self.right = right
        self.style = style
        shown = trace.start
        latest = trace.start
        analysis = Analysis(trace)
        narrator = Narrator(analysis: analysis)
        strangers = Set(trace.segments.filter { $0.from != left && $0.from != right }.map(\.source))
    }

    /// The lines of the drawing.
    public func lines() -> [String] {
        var drawing = self
        drawing.draw()
        return drawing.output
    }

    // MARK: Columns

    static let timeWidth = 10
    static let stateWidth = 12
    static let indent = 12

    var arrowWidth: Int { max(24, style.width - 2 * (Ladder.timeWidth + Ladder.stateWidth) - 6) }

    func clock(_ time: Instant) -> String { NumberText.clock(time, since: trace.start) }

    private mutating func draw() {
        head()
        var index = 0
        while index < analysis.items.count {
            pause(before: analysis.items[index])
            if let run = run(from: index) {
                draw(run)
                index = run.end
                continue
            }
            switch analysis.items[index] {
            case .segment(let segment, let sender, let receiver): draw(segment, sender, receiver)
            case .change(let facts): draw(facts)
            case .action(let action):
                if let count = readingBeforeEnd(index) {
                    draw(action.followed(by: .endOfStream), after: count)
                    index += 1
                } else {
                    draw(action)
                }
            }
            index += 1
        }
    }

    /// A long time in which nothing happens is worth a line of its own.
    private mutating func pause(before item: LadderItem) {
        let time: Instant
        switch item {
        case .segment(let index, _, _):
            time = trace.segments[index].sent
            latest = max(latest, trace.segments[index].arrival ?? time)
        case .change(let facts): time = facts.change.time
        case .action(let action): time = action.time
        }
        let gap = time - shown
        shown = max(shown, time, latest)
        guard gap >= .seconds(10) else { return }
        let seconds = NumberText.fixed(Double(gap.nanoseconds) / 1e9, digits: 0)
        output.append("")
        text(Phrase("⋮  \(seconds) s pass, and nothing is sent.", "⋮  过了 \(seconds) s，其间什么也没有发送。")[style.language])
    }

    /// The octets of a read that the end of the stream follows at once.
    private func readingBeforeEnd(_ index: Int) -> Int? {
        guard case .action(let first) = analysis.items[index], case .read(let count) = first.action,
            index + 1 < analysis.items.count, case .action(let second) = analysis.items[index + 1],
            second.action == .endOfStream, second.end == first.end, second.time == first.time
        else { return nil }
        return count
    }

    private mutating func head() {
        let time = Phrase("time", "时间")[style.language]
        row(
            leftTime: time, leftState: Narrator.label(left, style.language), middle: "",
            rightState: Narrator.label(right, style.language), rightTime: time, isHead: true)
    }

    mutating func row(
        leftTime: String, leftState: String, middle: String, rightState: String, rightTime: String, isHead: Bool = false
    ) {
        let leftPart =
            leftTime.rightAligned(to: Ladder.timeWidth) + "  " + leftState.padded(to: Ladder.stateWidth)
        let rightPart =
            rightState.padded(to: Ladder.stateWidth) + rightTime.rightAligned(to: Ladder.timeWidth)
        let line =
            paint(leftPart, isHead ? .bold : .state) + "  " + middle.padded(to: arrowWidth) + "  "
            + paint(rightPart, isHead ? .bold : .state)
        output.append(line.trimmingTrailingSpaces())
    }

    mutating func text(_ text: String, paint colour: Colour? = nil, indent: Int = Ladder.indent, hanging: Int = 0) {
        let columns = max(40, style.width - indent)
        for (number, line) in text.wrapped(to: columns - hanging).enumerated() {
            let space = String(repeating: " ", count: number == 0 ? indent : indent + hanging)
            output.append(space + (colour.map { paint(line, $0) } ?? line))
        }
    }

    // MARK: Colour

    enum Colour: String {
        case bold = "1"
        case state = "36"
        case loss = "31"
        case faint = "2"
    }

    func paint(_ text: String, _ colour: Colour) -> String {
        style.usesColor && !text.isEmpty ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }
}

extension Narrator {
    /// The name of an end as a heading.
    static func label(_ end: String, _ language: Language) -> String {
        let phrase = name(end)
        return language == .english ? end : phrase.chinese
    }
}

extension TracedAction {
    fileprivate func followed(by action: ApplicationAction) -> TracedAction {
        var next = self
        next.action = action
        return next
    }
}
