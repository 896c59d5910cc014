package import TCPWire

/// What lies between SND.UNA and SND.NXT, sending by sending, in the order of sequence numbers: the scoreboard of RFC 6675
/// and RFC 8985. The first two records are the connection's own, so that one whose stack has no memory left still sends;
/// an array for more is charged to the budget and goes back when nothing is in flight.
package struct Transmissions {
    /// Separate ranges that SACK may report of so many octets in flight: no more than there are full segments, and a few for
    /// small ones. Beyond these a peer's news is not worth its memory.
    package static func rangeLimit(inFlight: Int, segmentSize: Int) -> Int {
        min(Reassembly.mostLimit, max(24, inFlight / segmentSize))
    }
    private static let ownCount = 2
    private static let leastArray = 8

    private var own: InlineArray<2, Transmission>
    private var ring: [Transmission] = []
    private var head: Int32 = 0
    private var number: Int32 = 0
    /// Where the first begins: SND.UNA, or one past the ISS.
    package private(set) var start: SequenceNumber
    /// Octets that the peer reports to hold, and those that are lost and not sent again.
    package private(set) var sackedOctets = 0
    package private(set) var lostOctets = 0
    /// Separate ranges that the peer reports.
    package private(set) var sackedRanges = 0

    package init(at start: SequenceNumber) {
        self.start = start
        own = .init(repeating: Transmission(sentAt: .zero, end: start))
    }

    package var count: Int { Int(number) }
    package var isEmpty: Bool { number == 0 }
    /// Where the last ends: SND.NXT.
    package var end: SequenceNumber { number == 0 ? start : self[count &- 1].end }
    /// RFC 6675 §4, SetPipe: octets believed to be in the network.
    package var pipe: Int { end.distance(from: start) &- sackedOctets &- lostOctets }
    /// Bytes charged.
    package var cost: Int { ring.isEmpty ? 0 : BlockPool.bytes(ofRecords: ring.count) }

    private var capacity: Int { ring.isEmpty ? Transmissions.ownCount : ring.count }

    private func place(_ index: Int) -> Int { (Int(head) &+ index) & (capacity &- 1) }

    package subscript(index: Int) -> Transmission {
        get { ring.isEmpty ? own[place(index)] : ring[place(index)] }
        set { if ring.isEmpty { own[place(index)] = newValue } else { ring[place(index)] = newValue } }
    }

    /// Where a record begins.
    package func start(of index: Int) -> SequenceNumber { index == 0 ? start : self[index &- 1].end }

    /// The first record that ends past `sequence`; `count` if none does.
    package func index(holding sequence: SequenceNumber) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low &+ high) / 2
            if self[middle].end <= sequence { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    // MARK: Memory

    /// Records that an array for `needed` has; `nil` past the limit, an eighth of what is in flight or 64 KiB: a peer that
    /// asks for tiny segments, and acknowledges every second, is not worth more.
    private func arraySize(_ needed: Int) -> Int? {
        var size = max(Transmissions.leastArray, capacity)
        while size < needed { size &*= 2 }
        return size <= max(2048, end.distance(from: start) / 256) ? size : nil
    }

    /// Sees to room for so many more records; `false` when the budget has none, or they would be too many.
    package mutating func makeRoom(for more: Int, _ context: inout Context) -> Bool {
        let needed = count &+ more
        if needed <= capacity { return true }
        guard let size = arraySize(needed), var larger = context.pool.takeRecords(capacity: size, &context.budget)
        else { return false }
        context.recoveryBytes &+= BlockPool.bytes(ofRecords: larger.count)
        for index in 0..<count { larger[index] = self[index] }
        swap(&ring, &larger)
        head = 0
        if !larger.isEmpty { giveBack(larger, &context) }
        return true
    }

    /// Whether `makeRoom` would find it.
    func mayMakeRoom(for more: Int, _ context: borrowing Context) -> Bool {
        let needed = count &+ more
        if needed <= capacity { return true }
        guard let size = arraySize(needed) else { return false }
        return context.pool.hasRecords(capacity: size, context.budget)
    }

    private func giveBack(_ array: consuming [Transmission], _ context: inout Context) {
        context.recoveryBytes &-= BlockPool.bytes(ofRecords: array.count)
        context.pool.returnRecords(array, &context.budget)
    }

    /// Forgets everything; what follows begins at `start`.
    package mutating func removeAll(at start: SequenceNumber, _ context: inout Context) {
        self.start = start
        number = 0
        head = 0
        sackedOctets = 0
        lostOctets = 0
        sackedRanges = 0
        guard !ring.isEmpty else { return }
        var array: [Transmission] = []
        swap(&ring, &array)
        giveBack(array, &context)
    }

    // MARK: Records

    /// Adds a record at the end, or lengthens the last; there must be room.
    package mutating func append(_ record: Transmission) {
        if number > 0 {
            let last = self[count &- 1]
            // No more than a super-segment at a time, so that a record stays small beside the window.
            let length = record.end.distance(from: start(of: count &- 1))
            if record.joins(last), !last.isSacked, !last.isLost, length <= 65_536 {
                self[count &- 1].end = record.end
                return
            }
        }
        number &+= 1
        self[count &- 1] = record
    }

    private mutating func insert(_ record: Transmission, at index: Int) {
        number &+= 1
        if index < count / 2 {
            head = Int32((Int(head) &+ capacity &- 1) & (capacity &- 1))
            for position in 0..<index { self[position] = self[position &+ 1] }
        } else {
            var position = count &- 1
            while position > index {
                self[position] = self[position &- 1]
                position &-= 1
            }
        }
        self[index] = record
    }

    private mutating func remove(at index: Int) {
        if index < count / 2 {
            var position = index
            while position > 0 {
                self[position] = self[position &- 1]
                position &-= 1
            }
            head = Int32((Int(head) &+ 1) & (capacity &- 1))
        } else {
            for position in index..<count &- 1 { self[position] = self[position &+ 1] }
        }
        number &-= 1
    }

    /// Cuts the record that holds `sequence` in two there, if it does not begin there. There must be room.
    package mutating func cut(at sequence: SequenceNumber) {
        let index = self.index(holding: sequence)
        guard index < count, start(of: index) < sequence else { return }
        var first = self[index]
        first.end = sequence
        insert(first, at: index)
        if first.isSacked { sackedRanges &+= 1 }
    }

    /// Makes a record and its neighbours one where nothing tells them apart any more. Says where it is then.
    @discardableResult
    package mutating func join(at index: Int) -> Int {
        var index = index
        if index &+ 1 < count, self[index &+ 1].joins(self[index]) { merge(index) }
        if index > 0, self[index].joins(self[index &- 1]) {
            index &-= 1
            merge(index)
        }
        return index
    }

    private mutating func merge(_ index: Int) {
        let (first, second) = (self[index], self[index &+ 1])
        self[index] = second
        // The later time: what is judged by it is judged late rather than early.
        self[index].sentAt = max(first.sentAt, second.sentAt)
        remove(at: index &+ 1)
        if second.isSacked { sackedRanges &-= 1 }
    }

    mutating func removeFirst() {
        let record = self[0]
        forget(record, from: start, to: record.end)
        if record.isSacked { sackedRanges &-= 1 }
        start = record.end
        head = Int32((Int(head) &+ 1) & (capacity &- 1))
        number &-= 1
    }

    /// The first record loses what lies before `sequence`.
    mutating func trimFirst(to sequence: SequenceNumber) {
        forget(self[0], from: start, to: sequence)
        start = sequence
    }

    /// Nothing is in flight: what follows begins at `sequence`.
    mutating func restart(at sequence: SequenceNumber) { if number == 0 { start = sequence } }

    private mutating func forget(_ record: Transmission, from low: SequenceNumber, to high: SequenceNumber) {
        let octets = high.distance(from: low)
        if record.isSacked { sackedOctets &-= octets }
        if record.isLost { lostOctets &-= octets }
    }

    // MARK: What becomes of a record

    /// The peer reports to hold it.
    package mutating func noteSacked(_ index: Int) {
        let octets = self[index].end.distance(from: start(of: index))
        if self[index].isLost { lostOctets &-= octets }
        self[index].isLost = false
        self[index].isSacked = true
        sackedOctets &+= octets
        sackedRanges &+= 1
    }

    /// It counts as lost. Says how many octets that are.
    package mutating func noteLost(_ index: Int) -> Int {
        let octets = self[index].end.distance(from: start(of: index))
        self[index].isLost = true
        lostOctets &+= octets
        return octets
    }

    /// What lies from `low` to `high` was sent again. Without memory to tell it from its neighbours these count as sent
    /// with it.
    package mutating func sendAgain(
        from low: SequenceNumber, to high: SequenceNumber, at time: Instant, _ stamp: SendStamp, _ word: UInt32,
        _ context: inout Context
    ) {
        if makeRoom(for: 2, &context) {
            cut(at: low)
            cut(at: high)
        }
        var index = self.index(holding: low)
        while index < count, start(of: index) < high {
            if !self[index].isSacked {
                if self[index].isLost { lostOctets &-= self[index].end.distance(from: start(of: index)) }
                var record = Transmission(sentAt: time, end: self[index].end)
                record.stamp = stamp
                record.word = word
                record.isRetransmission = true
                self[index] = record
            }
            index = join(at: index) &+ 1
        }
    }

    /// RFC 2018 §8: the peer may have dropped what it reported. It is to go again.
    package mutating func forgetSacked() {
        var index = 0
        while index < count {
            if self[index].isSacked {
                self[index].isSacked = false
                // When it arrives again that measures nothing.
                self[index].isRetransmission = true
                _ = noteLost(index)
                index = join(at: index)
            }
            index &+= 1
        }
        sackedOctets = 0
        sackedRanges = 0
    }

    /// What counted as lost and was not sent again was not lost.
    package mutating func forgetLost() {
        for index in 0..<count where self[index].isLost { self[index].isLost = false }
        lostOctets = 0
    }
}

// What there is to send again.
extension Transmissions {
    /// RFC 6675 §4, NextSeg rule 1: the first stretch that is lost.
    package var firstLost: (start: SequenceNumber, end: SequenceNumber)? {
        guard lostOctets > 0, var index = (0..<count).first(where: { self[$0].isLost }) else { return nil }
        let start = start(of: index)
        while index &+ 1 < count, self[index &+ 1].isLost { index &+= 1 }
        return (start, self[index].end)
    }

    /// What the peer reports to hold, in order.
    package var sackedBlocks: [SACKBlock] { blocks { $0.isSacked } }
    /// What is lost and was not sent again.
    package var lostBlocks: [SACKBlock] { blocks { $0.isLost } }
    /// What was sent again and is in flight.
    package var retransmittedBlocks: [SACKBlock] { blocks { $0.isRetransmission && !$0.isLost && !$0.isSacked } }

    private func blocks(_ belongs: (Transmission) -> Bool) -> [SACKBlock] {
        var blocks: [SACKBlock] = []
        for index in 0..<count where belongs(self[index]) {
            let block = SACKBlock(start: start(of: index), end: self[index].end)
            if let last = blocks.last, last.end == block.start {
                blocks[blocks.count - 1].end = block.end
            } else {
                blocks.append(block)
            }
        }
        return blocks
    }

    /// Where what the peer reports begins.
    var firstSackedStart: SequenceNumber? {
        guard sackedOctets > 0 else { return nil }
        for index in 0..<count where self[index].isSacked { return start(of: index) }
        return nil
    }

    /// The end of what the peer reports around `sequence`; `nil` if it does not hold it.
    func sackedEnd(holding sequence: SequenceNumber) -> SequenceNumber? {
        let index = self.index(holding: sequence)
        guard index < count, start(of: index) <= sequence, self[index].isSacked else { return nil }
        return self[index].end
    }
}
