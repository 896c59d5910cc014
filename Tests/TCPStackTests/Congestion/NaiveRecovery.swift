/// A sender that recovers from losses, in the plainest terms of the RFCs: with SACK RFC 8985, without RFC 5681 §3.2,
/// RFC 6582 and RFC 3042; the window in recovery by RFC 9937. It counts segments where the stack counts octets, looks at
/// each of them every time, and shares nothing with the stack. Times are microseconds; nothing that is sent again is lost.
struct NaiveRecovery {
    struct Sent {
        var sentAt: Int
        /// Its place among all sendings.
        var order: Int
        var isReported = false
        var isLost = false
        var isAgain = false
    }

    static let size = 1400
    let hasSACK: Bool
    let total: Int
    var sent: [Sent] = []
    var acknowledged = 0
    var window = 10 * size
    var threshold = Int.max / 4
    var isRecovering = false
    var recover = 0
    var retransmissions = 0
    private var sendings = 0
    private var duplicates = 0
    private var flightAtDuplicate = 0
    private var collected = 0
    // RFC 9937.
    private var delivered = 0
    private var out = 0
    private var flightAtStart = 1
    // RFC 8985 §5.3.
    private var rackOrder = -1
    private var rackRoundTrip = 0
    private var highest = 0
    private var hasSeenReordering = false
    private let leastRoundTrip: Int
    var timer: Int?
    /// Without SACK: segments that duplicates say have left.
    private var departed = 0

    init(hasSACK: Bool, total: Int, leastRoundTrip: Int) {
        self.hasSACK = hasSACK
        self.total = total
        self.leastRoundTrip = leastRoundTrip
    }

    private var flying: Range<Int> { acknowledged..<sent.count }
    private var inFlight: Int { flying.count * Self.size }
    private var pipe: Int {
        (flying.count { !sent[$0].isReported && !sent[$0].isLost } - departed) * Self.size
    }

    /// An acknowledgment of all segments before `number`, with reports. Says what is sent.
    mutating func receive(_ number: Int, _ blocks: [Range<Int>], at now: Int) -> [Int] {
        let (before, wasRecovering) = (inFlight, isRecovering)
        let advance = number - acknowledged
        var news = (acknowledged..<number).filter { !sent[$0].isReported }
        for segment in acknowledged..<number { sent[segment].isReported = true }
        for segment in sent.indices where !sent[segment].isReported && blocks.contains(where: { $0.contains(segment) })
        {
            sent[segment].isReported = true
            sent[segment].isLost = false
            news.append(segment)
        }
        acknowledged = number
        var arrived = news.count
        if advance == 0 {
            if duplicates == 0 { flightAtDuplicate = inFlight }
            duplicates += 1
            // RFC 3042: of two duplicates. The third begins recovery; from then on each counts.
            if !hasSACK, isRecovering || duplicates <= 2 || mayBegin {
                departed += 1
                arrived = 1
            }
        } else {
            duplicates = 0
            if !hasSACK {
                // RFC 9937 §6.2: what duplicates had counted is not delivered twice.
                let counted = min(departed, advance - 1)
                departed -= counted
                arrived -= counted
                if !isRecovering { departed = 0 }
            }
        }
        note(news, now)
        if isRecovering, acknowledged >= recover {
            isRecovering = false
            window = threshold
            departed = 0
        }
        let lost = hasSACK ? detect(now) : detectFirst(advance)
        let begins = lost > 0 && !isRecovering
        if begins { begin(before: before, arrived: arrived) }
        if isRecovering {
            if arrived > 0 || begins { reduce(arrived, isSafe: advance > 0 && lost == 0) }
        } else if !wasRecovering {
            grow(advance * Self.size, before: before)
        }
        return send(now, atOnce: !hasSACK && lost > 0)
    }

    /// RFC 8985 §6.2 step 5: the reordering timer.
    mutating func expire(at now: Int) -> [Int] {
        timer = nil
        let before = inFlight
        let lost = detect(now)
        guard lost > 0 else { return [] }
        if !isRecovering { begin(before: before, arrived: 0) }
        reduce(0, isSafe: false)
        return send(now, atOnce: false)
    }

    mutating func start(_ now: Int) -> [Int] { send(now, atOnce: false) }

    private var mayBegin: Bool { duplicates == 3 && acknowledged >= recover }

    /// RFC 8985 §6.2 steps 1 to 3.
    private mutating func note(_ news: [Int], _ now: Int) {
        for segment in news.sorted() {
            if segment + 1 > highest {
                highest = segment + 1
            } else if !sent[segment].isAgain {
                hasSeenReordering = true
            }
        }
        let usable = news.filter { !sent[$0].isAgain || now - sent[$0].sentAt >= leastRoundTrip }
        guard let last = usable.max(by: { sent[$0].order < sent[$1].order }) else { return }
        rackRoundTrip = now - sent[last].sentAt
        rackOrder = max(rackOrder, sent[last].order)
    }

    /// Steps 4 and 5. Says how many are newly lost.
    private mutating func detect(_ now: Int) -> Int {
        let reported = flying.count { sent[$0].isReported }
        let isZero = !hasSeenReordering && (isRecovering || reported >= 3)
        let wait = isZero ? 0 : leastRoundTrip / 4
        var lost = 0
        timer = nil
        for segment in flying where !sent[segment].isReported && !sent[segment].isLost {
            guard sent[segment].order < rackOrder else { continue }
            let due = sent[segment].sentAt + rackRoundTrip + wait
            if due <= now {
                sent[segment].isLost = true
                lost += 1
            } else {
                timer = max(timer ?? due, due)
            }
        }
        return lost
    }

    /// RFC 5681 §3.2, RFC 6582 §3.2: the third duplicate, and each partial acknowledgment.
    private mutating func detectFirst(_ advance: Int) -> Int {
        guard !flying.isEmpty, isRecovering ? advance > 0 : mayBegin else { return 0 }
        sent[acknowledged].isLost = true
        return 1
    }

    private mutating func begin(before: Int, arrived: Int) {
        let flight = duplicates > 0 ? min(flightAtDuplicate, inFlight) : before
        threshold = max(flight / 2, 2 * Self.size)
        isRecovering = true
        recover = sent.count
        delivered = 0
        out = 0
        let reported = hasSACK ? flying.count { sent[$0].isReported } - arrived : 0
        flightAtStart = inFlight - reported * Self.size
        counter = 0
    }

    /// RFC 9937 §6.2.
    private mutating func reduce(_ arrived: Int, isSafe: Bool) {
        let newly = arrived * Self.size
        delivered += newly
        var count: Int
        if pipe > threshold {
            count = (delivered * threshold + flightAtStart - 1) / flightAtStart - out
        } else {
            count = max(delivered - out, newly) + (isSafe ? Self.size : 0)
            count = min(threshold - pipe, count)
        }
        if out == 0 { count = max(count, Self.size) }
        window = pipe + max(count, 0)
    }

    private var counter = 0

    /// RFC 5681 §3.1, RFC 3465 §2.
    private mutating func grow(_ octets: Int, before: Int) {
        guard octets > 0 else { return }
        if window < threshold {
            if before * 2 >= window { window += min(octets, 2 * Self.size) }
        } else if before + 3 * Self.size >= window {
            counter += octets
            if counter >= window {
                counter -= window
                window += Self.size
            }
        }
    }

    private mutating func send(_ now: Int, atOnce: Bool) -> [Int] {
        var segments: [Int] = []
        var atOnce = atOnce
        while true {
            let hasRoom = window - pipe >= Self.size
            let segment: Int
            if let lost = flying.first(where: { sent[$0].isLost }), hasRoom || atOnce || pipe == 0 {
                atOnce = false
                segment = lost
                sent[lost] = Sent(sentAt: now, order: sendings, isAgain: true)
                retransmissions += 1
            } else if hasRoom, sent.count < total {
                segment = sent.count
                sent.append(Sent(sentAt: now, order: sendings))
            } else {
                return segments
            }
            sendings += 1
            if isRecovering { out += Self.size }
            segments.append(segment)
        }
    }
}
