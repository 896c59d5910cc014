import TCPWire

/// What a connection keeps for reading, and how that is fitted to the need. A round is a round trip as the receiver sees
/// it. Times are microseconds modulo 2³², so that an idle connection stays small: only differences count.
package struct ReceiveSpace {
    /// The most octets to keep for reading; zero is what connections begin with.
    package var limit: UInt32 = 0
    /// The round trip; zero before the first measurement.
    package var roundTrip: UInt32 = 0
    /// When the round began, and the least that timestamps told of in it; `.max` is nothing yet.
    var startedAt: UInt32 = 0
    var least = UInt32.max
    /// Without timestamps: where the window once ended, and when.
    var edge = SequenceNumber(0)
    var edgeAt: UInt32 = 0
    /// Where the program had read to then, and how much it read in the round before.
    var readTo = SequenceNumber(0)
    var lastRead: UInt32 = 0

    /// No round trip is longer: a minute.
    static let longest: UInt32 = 60_000_000
    /// A pause is as long at least: a second.
    static let leastPause: UInt32 = 1_000_000
}

// Dynamic right-sizing (Fisk and Feng, 2001): the window follows what the program reads in a round trip, and so what the
// path carries. It is a promise, not memory: queues hold blocks for the octets that are there.
extension Connection {
    /// The most octets this connection keeps for reading.
    package func receiveLimit(_ context: borrowing Context) -> Int {
        space.limit > 0
            ? Int(space.limit) : min(context.parameters.initialReceiveBuffer, context.parameters.receiveBuffer)
    }

    /// Fixes what is kept for reading; `nil` fits it to the need.
    package mutating func fixReceiveBuffer(_ octets: Int?) {
        if let octets {
            flags.insert(.fixedReceiveBuffer)
            flags.remove(.measuresSpace)
            space = ReceiveSpace()
            space.limit = UInt32(min(max(octets, 1), 1 &<< 30))
        } else if flags.contains(.fixedReceiveBuffer) {
            flags.remove(.fixedReceiveBuffer)
            space = ReceiveSpace()
        }
    }

    private func microseconds(_ now: Instant) -> UInt32 { UInt32(truncatingIfNeeded: now.nanoseconds / 1000) }

    /// Octets of a segment are about to be taken: a round begins with the first, and each may tell the round trip.
    mutating func noteArrival(_ header: TCPHeader, _ context: borrowing Context) {
        guard flags.contains(.measuresSpace) else {
            let isFixed = context.parameters.initialReceiveBuffer >= context.parameters.receiveBuffer
            guard !isFixed, !flags.contains(.fixedReceiveBuffer), isReceiving else { return }
            flags.insert(.measuresSpace)
            space.roundTrip = UInt32(clamping: min((rtt.smoothed &+ 999) / 1000, Int64(ReceiveSpace.longest)))
            beginRound(microseconds(context.now))
            noteEdge(space.startedAt)
            return
        }
        if flags.contains(.timestamps), let echo = header.options.timestamps?.echo, echo != 0 {
            // What it answers left then: it took the round trip and what the peer waited, which the least hardly shows.
            let elapsed = Int32(bitPattern: timestampClock(context.now) &- echo)
            guard elapsed >= 0, elapsed <= Int32(ReceiveSpace.longest / 1000) else { return }
            space.least = min(space.least, UInt32(max(elapsed, 1)) &* 1000)
        } else if receive.next > space.edge {
            noteWindow(context)
        }
    }

    /// A window's worth of octets has come: of room past the edge the peer knows from something that left after the edge was
    /// noted. That takes a round trip where the window holds the peer back, and longer where nothing does; more than four
    /// times what our own segments take is not believed.
    private mutating func noteWindow(_ context: borrowing Context) {
        let now = microseconds(context.now)
        let elapsed = min(max(1, now &- space.edgeAt), ReceiveSpace.longest)
        let most = UInt32(clamping: rtt.smoothed / 250)
        if space.roundTrip == 0 || elapsed < space.roundTrip {
            space.roundTrip = elapsed
        } else {
            space.roundTrip = max(space.roundTrip, min(elapsed, most))
        }
        noteEdge(now)
    }

    private mutating func noteEdge(_ now: UInt32) {
        space.edge = receive.edge
        space.edgeAt = now
    }

    private mutating func beginRound(_ now: UInt32) {
        space.startedAt = now
        space.least = .max
        space.readTo = receive.next + (-receiveQueue.count)
    }

    /// The program is about to read: once in a round trip, what it has read in it tells what room the peer can use.
    mutating func fitReceiveSpace(_ context: borrowing Context) {
        guard flags.contains(.measuresSpace), isReceiving else { return }
        let now = microseconds(context.now)
        let elapsed = now &- space.startedAt
        var roundTrip = space.roundTrip
        if space.least < .max {
            // Of one that grew no more than twice the old is believed at a time: the peer may have waited.
            roundTrip = roundTrip == 0 ? space.least : min(space.least, roundTrip &* 2)
        }
        guard roundTrip > 0, elapsed >= roundTrip else { return }
        space.roundTrip = roundTrip
        let read = (receive.next + (-receiveQueue.count)).distance(from: space.readTo)
        let start = min(context.parameters.initialReceiveBuffer, context.parameters.receiveBuffer)
        let pause = max(ReceiveSpace.leastPause, roundTrip &* 4)
        if elapsed >= pause {
            // As RFC 2861 §3 has it for the sender: what was not used for long proves nothing, and halves in each pause.
            space.limit = UInt32(max(start, receiveLimit(context) &>> Int(min(elapsed / pause, 31))))
            space.lastRead = 0
        } else {
            growReceiveSpace(read, context)
            space.lastRead = UInt32(clamping: read)
        }
        beginRound(now)
    }

    /// Twice what was read is kept, so that a sender that has the rate of the path finds room whatever is lost. One that
    /// still grows doubles until the peer hears of the window, and again until the next round ends.
    private mutating func growReceiveSpace(_ read: Int, _ context: borrowing Context) {
        let grows = read &- Int(space.lastRead) > Int(space.lastRead) / 4
        let wanted = (grows ? 4 : 2) &* read &+ 2 &* Int(linkSegmentSize)
        // Without scaling no window above 65535 octets can be told (RFC 7323 §2.2).
        let most = min(context.parameters.receiveBuffer, 65535 &<< Int(receive.scale))
        let limit = min(wanted, most, context.share(holding: receiveQueue.count, below: context.budget.marks.holding))
        if limit > receiveLimit(context) { space.limit = UInt32(clamping: limit) }
    }
}
