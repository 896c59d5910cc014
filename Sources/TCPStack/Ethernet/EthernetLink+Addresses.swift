import TCPEngine
public import TCPWire

// The addresses of the link: each is nobody else's before it is used (RFC 5227 §2.1, RFC 4862 §5.4).
extension EthernetLink {
    /// Gives the link and its stack an address. It is used, by the stack too, once it is known to be nobody else's:
    /// `addresses` tells. What the stack's budget has no room for is counted, and not taken.
    public mutating func addAddress(_ prefix: AddressPrefix, to stack: inout Stack, at now: Instant) {
        clock(now, &stack)
        let address = prefix.address
        guard address.isValidSource, !address.isLoopback else { return }
        if let index = index(of: address) {
            // It is the program's from now on; what it has in the stack stays.
            records[index].prefix = prefix
            records[index].origin = .manual
            records[index].preferredUntil = .distantFuture
            records[index].validUntil = .distantFuture
            if records[index].isAssigned {
                records[index].state = .preferred
                stack.addAddress(prefix, on: interface)
                stack.setDeprecated(false, address, on: interface)
            } else if records[index].state == .duplicated {
                begin(index, after: 0)
            }
        } else {
            guard let index = addRecord(prefix, .manual, &stack) else { return }
            if !address.isIPv4 { beginIPv6(with: address, &stack) }
            begin(index, after: random(from: 0, to: firstDelay(isIPv4: address.isIPv4)))
        }
        advance(to: now, &stack)
    }

    /// Takes an address from the link and its stack. Its connections hear nothing any more and end by their timers.
    public mutating func removeAddress(_ address: IPAddress, from stack: inout Stack, at now: Instant) {
        clock(now, &stack)
        if let index = index(of: address) { removeRecord(index, &stack) }
    }

    func index(of address: IPAddress) -> Int? { records.firstIndex { $0.prefix.address == address } }

    /// How long the first message about an address may wait at most, in nanoseconds; one that is not asked about does not.
    private func firstDelay(isIPv4: Bool) -> Int64 {
        if isIPv4 { return configuration.conflictProbes == 0 ? 0 : configuration.conflictProbeWait.nanoseconds }
        return configuration.duplicateAddressProbes == 0 ? 0 : configuration.initialDelay.nanoseconds
    }

    private mutating func addRecord(
        _ prefix: AddressPrefix, _ origin: LinkAddressOrigin, _ stack: inout Stack
    ) -> Int? {
        guard stack.reserveForLink(LinkAddress.cost) else {
            counts.count(.noMemory)
            return nil
        }
        recordBytes &+= LinkAddress.cost
        records.append(LinkAddress(prefix: prefix, origin: origin, remaining: 0, nextAt: .distantFuture))
        return records.count &- 1
    }

    private mutating func removeRecord(_ index: Int, _ stack: inout Stack) {
        withdraw(index, &stack)
        records.remove(at: index)
        recordBytes &-= LinkAddress.cost
        stack.releaseForLink(LinkAddress.cost)
    }

    /// Takes every address, router and prefix from the stack.
    mutating func removeRecords(_ stack: inout Stack) {
        while !records.isEmpty { removeRecord(records.count &- 1, &stack) }
        while let router = routers.last { removeRouter(router.address, &stack) }
        while !prefixes.isEmpty { removePrefix(prefixes.count &- 1, &stack) }
        while !redirections.isEmpty { removeRedirection(redirections.count &- 1, &stack) }
    }

    // MARK: IPv6 begins

    /// RFC 4862 §5.3: first of all an interface has a link-local address, unless the program gives it one.
    mutating func beginIPv6(with address: IPAddress?, _ stack: inout Stack) {
        guard !speaksIPv6 else { return }
        speaksIPv6 = true
        if let address, address.isLinkLocal { return }
        let prefix = IPAddress(high: 0xFE80_0000_0000_0000, low: 0)
        guard let index = addRecord(AddressPrefix(prefix, length: 64), .linkLocal, &stack) else { return }
        records[index].prefix.address.low = identifier(for: prefix, duplicates: 0)
        begin(index, after: random(from: 0, to: firstDelay(isIPv4: false)))
    }

    /// The lower 64 bits of an address with this prefix.
    private func identifier(for prefix: IPAddress, duplicates: UInt8) -> UInt64 {
        if configuration.interfaceIdentifiers == .eui64 { return address.interfaceIdentifier }
        var salt: UInt64 = 0
        while true {
            // RFC 7217 §5: F(Prefix, Net_Iface, DAD_Counter, secret_key).
            var hash = SipHash(secret)
            hash.add(prefix.high)
            hash.add(UInt64(configuration.interfaceNumber) &<< 32 | UInt64(duplicates))
            hash.add(0x7217 &+ salt &<< 32)
            let identifier = hash.finish(length: 24)
            // RFC 5453 §3: not the routers' anycast address, not IANA's block, no reserved anycast address.
            let isReserved =
                identifier == 0 || identifier &>> 32 == 0x0200_5EFF
                || identifier >= 0xFDFF_FFFF_FFFF_FF80
                    && identifier &>> 7 == 0xFDFF_FFFF_FFFF_FF80 &>> 7
            if !isReserved { return identifier }
            salt &+= 1
        }
    }

    // MARK: The steps of an address

    /// An address is to be asked about from now on.
    private mutating func begin(_ index: Int, after delay: Int64) {
        let isIPv4 = records[index].prefix.address.isIPv4
        records[index].state = .tentative
        records[index].phase = .probing
        records[index].remaining =
            isIPv4 ? configuration.conflictProbes : configuration.duplicateAddressProbes
        records[index].nextAt = now.advanced(byNanoseconds: delay)
        schedule(records[index].nextAt)
    }

    /// Does what is due, and schedules what is next.
    mutating func advanceAddresses(_ stack: inout Stack) {
        var index = 0
        while index < records.count {
            if records[index].validUntil <= now {
                // RFC 4862 §5.5.4
                removeRecord(index, &stack)
                continue
            }
            if records[index].state == .preferred, records[index].preferredUntil <= now {
                records[index].state = .deprecated
                stack.setDeprecated(true, records[index].prefix.address, on: interface)
            }
            if records[index].nextAt <= now { step(index, &stack) }
            schedule(records[index].dueAt)
            index &+= 1
        }
    }

    private mutating func step(_ index: Int, _ stack: inout Stack) {
        let address = records[index].prefix.address
        switch records[index].phase {
        case .probing:
            if !address.isIPv4, !records[index].isJoined {
                // RFC 4862 §5.4.2: the groups first, or no answer would be heard.
                records[index].isJoined = true
                join(address.solicitedNode, &stack)
            }
            guard records[index].remaining > 0 else {
                assign(index, &stack)
                return
            }
            records[index].remaining &-= 1
            let isLast = records[index].remaining == 0
            if address.isIPv4 {
                probe(address, &stack)
                records[index].nextAt = now.advanced(byNanoseconds: isLast ? announceWait : probeInterval())
            } else {
                solicitDuplicates(index, &stack)
                records[index].nextAt = now.advanced(byNanoseconds: retransmissionTimer)
            }
        case .announcing:
            announce(address, &stack)
            records[index].remaining &-= 1
            let isLast = records[index].remaining == 0
            if isLast { records[index].phase = .settled }
            records[index].nextAt =
                isLast
                ? .distantFuture : now.advanced(byNanoseconds: max(configuration.announceInterval.nanoseconds, 1))
        case .settled: records[index].nextAt = .distantFuture
        }
    }

    private var announceWait: Int64 { max(configuration.announceWait.nanoseconds, 0) }

    private mutating func probeInterval() -> Int64 {
        max(
            random(
                from: configuration.conflictProbeMinimum.nanoseconds, to: configuration.conflictProbeMaximum.nanoseconds
            ),
            1)
    }

    /// Nobody else has it: it is used from now on.
    private mutating func assign(_ index: Int, _ stack: inout Stack) {
        let prefix = records[index].prefix
        // RFC 5942 §4: that an address was made of a prefix says nothing of where its other addresses are.
        let isOnLink = records[index].origin != .autoconfigured
        guard
            stack.addAddress(isOnLink ? prefix : AddressPrefix(prefix.address, length: 128), on: interface)
        else {
            // The stack has no memory for it now.
            counts.count(.noMemory)
            records[index].nextAt = now.advanced(byNanoseconds: 1_000_000_000)
            return
        }
        let isPreferred = records[index].preferredUntil > now
        records[index].state = isPreferred ? .preferred : .deprecated
        records[index].phase = .settled
        records[index].nextAt = .distantFuture
        stack.setDeprecated(!isPreferred, prefix.address, on: interface)
        if prefix.address.isIPv4 {
            records[index].phase = .announcing
            records[index].remaining = configuration.announcements
            step(index, &stack)
        } else if prefix.address.isLinkLocal {
            // RFC 3590 §4: what was told without a source is told again.
            repeatJoins(configuration.listenerReports)
            if configuration.autoconfigures { beginRouterSolicitations() }
        } else {
            // RFC 9131 §4.1.1
            advertise(prefix.address, to: .allRouters, isSolicited: false, overrides: false, &stack)
        }
    }

    /// Another has the address: it is not used, or no more; one the link chose is chosen anew (RFC 7217 §6).
    mutating func refuse(_ index: Int, _ stack: inout Stack) {
        counts.addressConflicts &+= 1
        withdraw(index, &stack)
        records[index].conflictAt = nil
        let mayRetry =
            records[index].origin != .manual && configuration.interfaceIdentifiers == .stable
            && Int(records[index].duplicates) < configuration.identifierRetries
        guard mayRetry else {
            records[index].state = .duplicated
            records[index].phase = .settled
            records[index].nextAt = .distantFuture
            return
        }
        records[index].duplicates &+= 1
        records[index].prefix.address.low = identifier(
            for: records[index].prefix.address.masked(to: 64), duplicates: records[index].duplicates)
        // RFC 7217 §7, IDGEN_DELAY
        begin(index, after: 1_000_000_000)
    }

    /// Takes an address from the stack, and its group from this interface.
    private mutating func withdraw(_ index: Int, _ stack: inout Stack) {
        let address = records[index].prefix.address
        if records[index].isAssigned { stack.removeAddress(address, on: interface) }
        guard records[index].isJoined else { return }
        records[index].isJoined = false
        for record in records where record.isJoined && record.prefix.address.solicitedNode == address.solicitedNode {
            return
        }
        leave(address.solicitedNode, &stack)
    }

    // MARK: Addresses of routers' prefixes

    /// RFC 4862 §5.5.3: a prefix of a router's that addresses may be made of.
    mutating func autoconfigure(_ information: PrefixInformation, _ stack: inout Stack) throws(EthernetFault) {
        let prefix = information.prefix
        // (c)
        guard information.preferredLifetime <= information.validLifetime else { throw .prefixRefused }
        let valid = end(of: information.validLifetime)
        let preferred = end(of: information.preferredLifetime)
        let existing = records.firstIndex {
            $0.origin == .autoconfigured && $0.prefix.address.high == prefix.address.high
        }
        if let index = existing, prefix.length == 64 {
            renew(index, information, valid: valid, preferred: preferred, &stack)
            return
        }
        // (d): a lifetime of zero makes no address; identifiers have 64 bits.
        guard information.validLifetime > 0 else { return }
        guard prefix.length == 64 else { throw .prefixRefused }
        // RFC 4862 §5.4.5: an interface whose link-local address is another's does not speak IPv6.
        guard
            records.contains(where: {
                $0.prefix.address.isLinkLocal && !$0.prefix.address.isIPv4 && $0.state != .duplicated
            })
        else { return }
        var made = 0
        for record in records where record.origin == .autoconfigured { made &+= 1 }
        guard made < configuration.autoconfiguredAddresses else { throw .tooManyAddresses }
        var address = prefix.address
        address.low = identifier(for: address, duplicates: 0)
        guard index(of: address) == nil,
            let index = addRecord(AddressPrefix(address, length: 64), .autoconfigured, &stack)
        else { return }
        records[index].validUntil = valid
        records[index].preferredUntil = preferred
        begin(index, after: random(from: 0, to: firstDelay(isIPv4: false)))
        schedule(records[index].dueAt)
    }

    /// RFC 4862 §5.5.3 (e): nobody who forges an advertisement ends an address within two hours.
    private mutating func renew(
        _ index: Int, _ information: PrefixInformation, valid: Instant, preferred: Instant, _ stack: inout Stack
    ) {
        let twoHours = now.advanced(byNanoseconds: 7_200_000_000_000)
        if information.validLifetime > 7200 || valid > records[index].validUntil {
            records[index].validUntil = valid
        } else if records[index].validUntil > twoHours {
            records[index].validUntil = twoHours
        }
        records[index].preferredUntil = preferred
        if records[index].isAssigned {
            records[index].state = preferred > now ? .preferred : .deprecated
            stack.setDeprecated(preferred <= now, records[index].prefix.address, on: interface)
        }
        schedule(records[index].dueAt)
    }

    /// When a lifetime in seconds ends that begins now; all bits set is never.
    func end(of lifetime: UInt32) -> Instant {
        lifetime == .max ? .distantFuture : now.advanced(byNanoseconds: Int64(lifetime) &* 1_000_000_000)
    }
}
