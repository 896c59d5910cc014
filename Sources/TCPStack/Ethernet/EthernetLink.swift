import TCPEngine
public import TCPWire

/// An Ethernet interface below a stack: it finds the neighbors' addresses (ARP, RFC 826; neighbor discovery, RFC 4861), sees
/// that the stack's addresses are nobody else's (RFC 5227, RFC 4862 §5.4), and gives itself IPv6 addresses (RFC 4862).
///
/// It is used like the stack: frames and the time go in, frames and one deadline come out. Everything it holds is charged
/// to the stack's budget, and shows as `MemoryReport.neighbors`; `remove(from:)` gives it back.
///
/// ```
/// loop: receive(frame, into: &stack) … advance(to: now, &stack) … transmit(into: &buffer, from: &stack) … wait
/// ```
///
/// Give the stack its addresses through the link: of one that was given to the stack alone no neighbor learns. Make no
/// other calls to `Stack.receive` and `Stack.transmit`; to `Stack.advance(to:)` do.
public struct EthernetLink: ~Copyable {
    /// The interface's address.
    public let address: MACAddress
    /// Which of the stack's interfaces it is below.
    public let interface: InterfaceID
    let configuration: EthernetConfiguration
    let secret: StackSecret
    var now: Instant
    var table: NeighborTable
    var output = FrameQueue()
    /// Bytes of packets that wait for neighbors.
    var waitingBytes = 0
    /// Bytes of addresses, routers, prefixes and redirects.
    var recordBytes = 0
    /// Bytes of frames in `output`.
    var outputBytes = 0
    var records: [LinkAddress] = []
    var routers: [Router] = []
    var prefixes: [OnLinkPrefix] = []
    var redirections: [Redirection] = []
    /// The router that the stack's default route has.
    var defaultRouter: IPAddress?
    var counts = EthernetCounters()
    /// Grows when an address comes, goes or changes its state: says whether `addresses` is worth another look.
    public internal(set) var addressChanges: UInt64 = 0
    private var randomCount: UInt64 = 0

    /// Nothing is due before.
    var deadline: Instant
    /// Whether IPv6 was begun: there is a link-local address, or is to be.
    var speaksIPv6 = false
    var isStarted = false
    /// Whether the stack's interface was told that there are neighbors to find, and what it was told before.
    private var isAttached = false
    private var tookEverything = false
    var routerSolicitationsLeft = 0
    var routerSolicitationAt = Instant.distantFuture
    /// Reports of the groups that were joined, still to be sent (RFC 3810 §6.1), and when; and the answer to a query.
    var joinReportsLeft = 0
    var joinReportAt = Instant.distantFuture
    var queryAnswerAt = Instant.distantFuture
    /// Until when routers that speak the first version are taken to be there (RFC 3810 §8.2.1).
    var firstVersionUntil = Instant(nanoseconds: .min)
    /// Nanoseconds a neighbor counts as reachable on the average, and between solicitations, for IPv6.
    var reachableTime: Int64
    var retransmissionTimer: Int64
    /// A source that word from above has just confirmed, and until when that need not be looked at again.
    var confirmed = IPAddress.unspecifiedIPv6
    var confirmedUntil = Instant(nanoseconds: .min)

    /// Makes a link without an address of its own. The first call to `advance(to:_:)` begins the autoconfiguration.
    ///
    /// - Parameters:
    ///   - address: the interface's address; no group's, and not zero.
    ///   - secret: what its timing, its hashes and its `.stable` identifiers are drawn from; the stack's will do. Keep it to
    ///     have the same IPv6 addresses again.
    ///   - configuration: limits and times.
    ///   - interface: which of the stack's interfaces it is below. That takes only what there is a route for.
    ///   - now: the time.
    public init(
        address: MACAddress, configuration: EthernetConfiguration = EthernetConfiguration(), secret: StackSecret,
        on interface: InterfaceID = .first, at now: Instant
    ) {
        precondition(address.isUnicast, "an interface's address is neither a group's nor zero")
        self.address = address
        self.interface = interface
        self.configuration = configuration.normalized
        self.secret = secret
        self.now = now
        let settings = self.configuration
        table = NeighborTable(limit: settings.neighbors, resolvingLimit: settings.resolvingNeighbors, secret: secret)
        deadline = settings.autoconfigures ? now : .distantFuture
        reachableTime = settings.reachableTime.nanoseconds
        retransmissionTimer = settings.solicitationInterval.nanoseconds
    }

    // Embedded Swift destroys values of another module only through a deinit it can see, and the parts' are not public.
    deinit {}

    /// When `advance(to:_:)` is next wanted; `nil` when no timer runs. It may come earlier than any timer is due, never
    /// later. The stack has a deadline of its own.
    public var nextDeadline: Instant? { deadline == .distantFuture ? nil : deadline }

    /// Fires the timers that are due at `now`.
    public mutating func advance(to now: Instant, _ stack: inout Stack) {
        clock(now, &stack)
        guard deadline <= self.now else { return }
        deadline = .distantFuture
        start(&stack)
        advanceNeighbors(&stack)
        advanceAddresses(&stack)
        advanceRouters(&stack)
        advanceReports(&stack)
        schedule(table.deadline)
    }

    /// Takes what is off the link, routes and addresses included, from the stack, and gives all memory back. The link may
    /// be used again, as if it were new.
    public mutating func remove(from stack: inout Stack) {
        removeRecords(&stack)
        while let slot = table.slots.next(from: 0) { forget(slot, &stack) }
        while let frame = output.next() { release(frame, &stack) }
        detach(&stack)
        routerSolicitationAt = .distantFuture
        joinReportAt = .distantFuture
        queryAnswerAt = .distantFuture
        reachableTime = configuration.reachableTime.nanoseconds
        retransmissionTimer = configuration.solicitationInterval.nanoseconds
        speaksIPv6 = false
        isStarted = false
        deadline = configuration.autoconfigures ? now : .distantFuture
    }

    /// The stack's interface is told that there are neighbors to find: nobody is found who takes a packet for anywhere.
    private mutating func attach(_ stack: inout Stack) {
        let number = Int(interface.index)
        isAttached = true
        tookEverything = stack.interfaces[number].link.takesEverything
        stack.interfaces[number].link.takesEverything = false
    }

    /// The stack's interface is as it was before.
    private mutating func detach(_ stack: inout Stack) {
        guard isAttached else { return }
        let number = Int(interface.index)
        isAttached = false
        stack.interfaces[number].link.takesEverything = tookEverything
        stack.interfaces[number].advertisedHopLimit = 0
        stack.interfaces[number].advertisedMTU = 0
    }

    /// What has been counted since the link was made.
    public var counters: EthernetCounters { counts }

    /// Bytes of the stack's budget that the link holds.
    public var memoryBytes: Int { table.bytes &+ waitingBytes &+ recordBytes &+ outputBytes }

    /// The neighbors, in no order. Its cost grows with their number: for tools.
    public var neighbors: [NeighborStatus] {
        var result: [NeighborStatus] = []
        var slot = table.slots.next(from: 0)
        while let index = slot {
            let isKnown = table[index].state != .incomplete
            let isOver = table[index].state == .reachable && table[index].deadline <= now
            result.append(
                NeighborStatus(
                    address: table[index].address, hardware: isKnown ? table[index].hardware : nil,
                    state: isOver ? .stale : table[index].state, isRouter: table[index].isRouter,
                    waitingPackets: table[index].waiting.count))
            slot = table.slots.next(from: index &+ 1)
        }
        return result
    }

    /// The addresses, in the order they came.
    public var addresses: [LinkAddressStatus] {
        records.map {
            LinkAddressStatus(
                prefix: $0.prefix, state: $0.state, origin: $0.origin, preferredUntil: $0.preferredUntil,
                validUntil: $0.validUntil)
        }
    }

    /// The default routers of IPv6, in the order they came.
    public var defaultRouters: [RouterStatus] {
        routers.map {
            RouterStatus(
                address: $0.address, validUntil: $0.validUntil, preference: Int($0.preference),
                isInUse: $0.address == defaultRouter)
        }
    }

    // MARK: Time and chance

    mutating func clock(_ now: Instant, _ stack: inout Stack) {
        self.now = max(self.now, now)
        if !isAttached { attach(&stack) }
        stack.context.now = max(stack.context.now, now)
    }

    mutating func schedule(_ instant: Instant) { deadline = min(deadline, instant) }

    /// 64 bits nobody can guess who does not have the secret.
    mutating func random() -> UInt64 {
        var hash = SipHash(secret)
        hash.add(0x6574_6865_726E_6574)
        hash.add(address.rawValue)
        hash.add(randomCount)
        randomCount &+= 1
        return hash.finish(length: 24)
    }

    /// A time between two others, in nanoseconds, each as likely.
    mutating func random(from low: Int64, to high: Int64) -> Int64 {
        guard high > low else { return low }
        return low &+ Int64(random() % UInt64(high &- low))
    }

    // MARK: Frames of the link's own

    /// Queues a frame for the device.
    mutating func send(_ frame: Frame, _ stack: inout Stack) {
        let cost = Frame.cost(frame.octets.count)
        guard output.count < configuration.waitingReplies, stack.reserveForLink(cost) else {
            counts.count(.replyDropped)
            return
        }
        outputBytes &+= cost
        output.append(frame)
    }

    /// Gives back what a frame that left `output` was charged for.
    mutating func release(_ frame: borrowing Frame, _ stack: inout Stack) {
        let cost = Frame.cost(frame.octets.count)
        outputBytes &-= cost
        stack.releaseForLink(cost)
    }

    /// Takes the frame of a packet that waited for a neighbor into the frames for the device: it stays charged.
    mutating func releaseWaiting(_ frame: consuming Frame, to hardware: MACAddress) {
        let cost = Frame.cost(frame.octets.count)
        waitingBytes &-= cost
        outputBytes &+= cost
        let isIPv4 = frame.octets[EthernetHeader.length] &>> 4 == 4
        frame.address(EthernetHeader(destination: hardware, source: address, payload: isIPv4 ? .ipv4 : .ipv6))
        output.append(frame)
    }

    // MARK: Audit

    /// What must hold between any two calls: the rule that is broken, if one is. For tests and fuzzers.
    package func audit(_ stack: borrowing Stack) -> StaticString? {
        if let fault = table.audit() { return fault }
        var waiting = 0
        var slot = table.slots.next(from: 0)
        while let index = slot {
            if table[index].waiting.count > configuration.waitingPackets { return "too many packets wait" }
            for frame in table[index].waiting { waiting &+= Frame.cost(frame.octets.count) }
            slot = table.slots.next(from: index &+ 1)
        }
        if waiting != waitingBytes { return "waiting packets are miscounted" }
        if output.bytes != outputBytes { return "waiting frames are miscounted" }
        let held =
            records.count &* LinkAddress.cost &+ routers.count &* Router.cost &+ prefixes.count &* OnLinkPrefix.cost
            &+ redirections.count &* Redirection.cost
        if held != recordBytes { return "addresses or routers are miscounted" }
        if stack.linkBytes < memoryBytes { return "a link holds what the stack does not know" }
        if deadline > table.deadline { return "the link does not know its neighbors' timers" }
        for record in records where record.dueAt < deadline { return "the link does not know its addresses' timers" }
        for router in routers where router.validUntil < deadline { return "the link does not know its routers' ends" }
        for prefix in prefixes where prefix.validUntil < deadline { return "the link does not know its prefixes' ends" }
        if let defaultRouter, !routers.contains(where: { $0.address == defaultRouter }) {
            return "the default router is not in the list"
        }
        return nil
    }
}
