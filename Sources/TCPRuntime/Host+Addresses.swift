public import TCPStack
public import TCPWire

// What the host's addresses are, and how they come to be (RFC 4862, RFC 5227).
extension Host {
    /// The host's own addresses with what is known of each. Empty for a device without Ethernet, where those that were given
    /// are used at once.
    public var linkAddresses: [LinkAddressStatus] { ethernet?.addresses ?? [] }

    /// The neighbors that are known. Empty for a device without Ethernet.
    public var neighbors: [NeighborStatus] { ethernet?.neighbors ?? [] }

    /// What the link has counted since it was made; `nil` for a device without Ethernet.
    public var ethernetCounters: EthernetCounters? { ethernet?.counters }

    /// Adds an address to the stack. Behind Ethernet it is used once it is found to be nobody else's.
    public func addAddress(_ prefix: AddressPrefix) {
        if ethernet != nil {
            ethernet!.addAddress(prefix, to: &stack, at: MonotonicClock.now())
            loop.wake()
        } else {
            stack.addAddress(prefix)
        }
    }

    /// Takes an address from the stack.
    public func removeAddress(_ address: IPAddress) {
        if ethernet != nil {
            ethernet!.removeAddress(address, from: &stack, at: MonotonicClock.now())
            loop.wake()
        } else {
            stack.removeAddress(address)
        }
    }

    /// Adds a route: where what lies behind its prefix is reached. Behind a device without Ethernet none is needed.
    ///
    /// - Returns: whether it was taken; see `Stack.addRoute(_:)`.
    @discardableResult
    public func addRoute(_ route: Route) -> Bool { stack.addRoute(route) }

    /// Takes a route away.
    public func removeRoute(_ route: Route) { stack.removeRoute(route) }

    /// Waits until of every address it is known whether it has another owner. That takes seconds behind Ethernet, and no time
    /// elsewhere.
    ///
    /// - Returns: the addresses, as `linkAddresses` has them.
    @discardableResult
    public func addressesSettled() async throws(CancellationError) -> [LinkAddressStatus] {
        while isRunning, linkAddresses.contains(where: { $0.state == .tentative }) { try await addressesChange() }
        return linkAddresses
    }

    /// Waits until the addresses are others than `known`, or in other states.
    ///
    /// - Returns: the addresses, as `linkAddresses` has them; `known` when the host has ended.
    public func linkAddresses(after known: [LinkAddressStatus]) async throws(CancellationError) -> [LinkAddressStatus] {
        while isRunning {
            let addresses = linkAddresses
            if addresses != known { return addresses }
            try await addressesChange()
        }
        return known
    }

    /// Waits until an address has come, gone or changed its state.
    private func addressesChange() async throws(CancellationError) {
        let ticket = loop.nextTicket()
        let isReady = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume(returning: false)
                } else {
                    addressWaiters.append(Waiter(ticket: ticket, continuation: continuation))
                }
            }
        } onCancel: {
            loop.onLoop { _ in self.here { $0.cancelAddressWaiter(ticket) } }
        }
        if !isReady { throw CancellationError() }
    }

    private func cancelAddressWaiter(_ ticket: UInt64) {
        guard let index = addressWaiters.firstIndex(where: { $0.ticket == ticket }) else { return }
        addressWaiters.remove(at: index).continuation.resume(returning: false)
    }

    /// Wakes whoever waits for a change of addresses, if there was one.
    func deliverAddressChanges() {
        guard let changes = ethernet?.addressChanges, changes != seenAddressChanges else { return }
        seenAddressChanges = changes
        wakeAddressWaiters()
    }

    func wakeAddressWaiters() {
        for waiter in addressWaiters { waiter.wake() }
        addressWaiters.removeAll(keepingCapacity: true)
    }
}
