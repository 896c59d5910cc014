public import TCPEngine
internal import TCPTrace
internal import TCPWire

/// Bad networks, and what a stack is to make of them: every row that is held against a bound, and what lies around them.
public enum Grid {
    /// How much of it to play.
    public enum Size: Sendable {
        /// The rows over 20 ms, with 16 MB each, measured behind half a second: some seconds of work.
        case short
        /// Every row as it is stated.
        case table
        /// Every row, and every combination of rates, delays, queues, losses, reordering, connections and controls.
        case full
    }

    /// The cells of a size, those of the controls asked for.
    public static func entries(
        _ size: Size, congestion: [CongestionControl] = CongestionControl.allCases
    ) -> [GridEntry] {
        let entries: [GridEntry]
        switch size {
        case .short: entries = table.compactMap(shortened)
        case .table: entries = table
        case .full: entries = table + combinations
        }
        return entries.filter { congestion.contains($0.cell.congestion) }
    }

    /// Long paths need as many round trips to fill as slow start takes; these rows are measured behind that.
    private static func longPath(rate: Double, queue: Int, _ congestion: CongestionControl) -> GridCell {
        var cell = GridCell(rate: rate, roundTrip: .milliseconds(100), queue: queue, congestion: congestion)
        cell.duration = .seconds(20)
        cell.warmUp = .seconds(3)
        return cell
    }

    /// 50 Mbit/s, 20 ms, and a queue of 128 KiB, a little more than the path itself holds.
    private static func common(
        _ congestion: CongestionControl, _ change: (inout GridCell) -> Void = { _ in }
    ) -> GridCell {
        var cell = GridCell(rate: 50e6, roundTrip: .milliseconds(20), queue: 128 << 10, congestion: congestion)
        change(&cell)
        return cell
    }

    // MARK: The rows

    /// Rows that name no control are held against with CUBIC, the default, and with BBR.
    static let table: [GridEntry] = clean + losses + disorder + fairness + marking

    private static let both: [CongestionControl] = [.cubic, .bbr]

    private static let clean: [GridEntry] =
        CongestionControl.allCases.map { control in
            GridEntry(
                "clean", Phrase("no faults", "无差错"), common(control), GridRequirement(share: 0.95))
        } + [
            GridEntry(
                "shallow", Phrase("a shallow queue, 64 MB", "浅队列，64 MB"),
                GridCell(
                    rate: 200e6, roundTrip: .milliseconds(100), queue: 64 << 10, congestion: .cubic),
                GridRequirement(share: 0.6)),
            GridEntry(
                "shallow", Phrase("a shallow queue, 20 s", "浅队列，20 秒"),
                longPath(rate: 200e6, queue: 64 << 10, .cubic), GridRequirement(share: 0.6)),
            GridEntry(
                "shallow", Phrase("a shallow queue, 20 s", "浅队列，20 秒"),
                longPath(rate: 200e6, queue: 64 << 10, .bbr), GridRequirement(share: 0.85)),
        ]
        + both.map { control in
            GridEntry(
                "long-fat", Phrase("long and fast, 20 s", "长而快，20 秒"),
                longPath(rate: 1e9, queue: 12_500_000, control), GridRequirement(share: 0.9))
        }

    private static let losses: [GridEntry] =
        [0.001, 0.01, 0.03].map { loss in
            GridEntry(
                "loss", Phrase("losses by chance", "随机丢包"), common(.cubic) { $0.loss = loss },
                GridRequirement(share: 0.9, of: .response))
        } + [
            GridEntry(
                "loss", Phrase("losses by chance", "随机丢包"), common(.bbr) { $0.loss = 0.01 },
                GridRequirement(share: 0.85))
        ]

    private static let disorder: [GridEntry] =
        both.map { control in
            GridEntry(
                "reordering", Phrase("reordering", "乱序"), common(control) { $0.reordering = 0.03 },
                GridRequirement(share: 0.95, of: .orderly))
        }
        + both.map { control in
            GridEntry(
                "jitter", Phrase("jitter", "抖动"), common(control) { $0.jitter = .milliseconds(10) },
                GridRequirement(share: 0.95, of: .orderly))
        }

    private static let fairness: [GridEntry] = both.flatMap { control in
        [4, 16].map { flows in
            var requirement = GridRequirement(share: 0.95)
            requirement.jain = 0.95
            // The share of each of sixteen is five segments, hardly more than the least window of BBR: there it shares by
            // chance, and is shown, not held to it.
            let isHeld = control != .bbr || flows <= 4
            return GridEntry(
                "fairness", Phrase("equal connections", "多个相同的连接"), common(control) { $0.flows = flows },
                isHeld ? requirement : nil)
        }
    }

    /// A queue that marks from half a bandwidth-delay product on: a window that then falls to 0.7 of what it was still
    /// fills the path. It has room for what slow start sends before its first mark comes back.
    private static let marking: [GridEntry] = [
        (CongestionControl.cubic, ExplicitCongestion.on), (.cubic, .accurate), (.bbr, .accurate),
    ].map { control, mode in
        var requirement = GridRequirement(share: 0.95)
        requirement.meanQueue = 0.5
        requirement.isLossless = true
        return GridEntry(
            "marking", Phrase("a queue that marks", "会做标记的队列"),
            common(control) {
                $0.queue = 512 << 10
                $0.marking = 62_500
                $0.explicitCongestion = mode
            }, requirement)
    }

    /// An entry in short, if its path is.
    private static func shortened(_ entry: GridEntry) -> GridEntry? {
        guard entry.cell.roundTrip <= .milliseconds(20), entry.cell.flows <= 4 else { return nil }
        var entry = entry
        entry.cell.bytes = 16_000_000
        entry.cell.warmUp = .milliseconds(500)
        return entry
    }

    // MARK: What lies around them

    /// Measured, and held against nothing.
    private static var combinations: [GridEntry] {
        var entries: [GridEntry] = []
        for (rate, roundTrip) in [10e6, 50e6, 200e6].flatMap({ rate in [20, 100].map { (rate, $0) } }) {
            for (part, loss) in [0.25, 1].flatMap({ part in [0, 0.001, 0.01].map { (part, $0) } }) {
                for (reordering, flows) in [(0, 1), (0, 4), (0.03, 1), (0.03, 4)] {
                    for control in CongestionControl.allCases {
                        var cell = GridCell(
                            rate: rate, roundTrip: .milliseconds(roundTrip), queue: 0, congestion: control)
                        // Less than a few packets is no queue that routers have.
                        cell.queue = max(15_000, Int(cell.bandwidthDelayProduct * part))
                        (cell.loss, cell.reordering, cell.flows) = (loss, reordering, flows)
                        (cell.duration, cell.warmUp) = (.seconds(20), .seconds(2))
                        entries.append(
                            GridEntry("combination", Phrase("a combination", "组合"), cell, nil))
                    }
                }
            }
        }
        return entries
    }
}
