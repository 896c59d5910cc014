import TCPEngine
public import TCPWire

/// One address of this host, and the link it belongs to: packets to it are taken from there only, packets from it leave
/// there (RFC 1122 §3.3.4.2, the strong model; RFC 9293 MUST-57).
struct LocalAddress {
    var prefix: AddressPrefix
    var interface: InterfaceID
    var isActive = true
    /// Connections that are there keep it, new ones take another if there is one (RFC 4862 §5.5.4).
    var isDeprecated = false
}

extension Stack {
    /// Adds a link, besides the first, which every stack has.
    ///
    /// - Returns: its name; `nil` when there are `InterfaceID.limit` already.
    public mutating func addInterface(_ link: InterfaceConfiguration) -> InterfaceID? {
        guard interfaceCount < InterfaceID.limit else { return nil }
        interfaces[interfaceCount].link = link
        interfaceCount &+= 1
        return InterfaceID(index: UInt8(interfaceCount &- 1))
    }

    /// What a link's MTU is from now on, for connections that open. Octets: 68...65535 with IPv4, at least 1280 with IPv6.
    public mutating func setMTU(_ mtu: Int, on interface: InterfaceID = .first) {
        guard Int(interface.index) < interfaceCount else { return }
        interfaces[Int(interface.index)].link.mtu = mtu
    }

    /// Gives this host an address on a link. Packets to others are dropped.
    ///
    /// - Returns: whether it was taken: not if there is no such link, or no memory or number left.
    @discardableResult
    public mutating func addAddress(_ prefix: AddressPrefix, on interface: InterfaceID = .first) -> Bool {
        guard Int(interface.index) < interfaceCount else { return false }
        let local = LocalAddress(prefix: prefix, interface: interface)
        if let index = addresses.firstIndex(where: {
            $0.prefix.address == prefix.address && $0.interface == interface
        }) {
            addresses[index] = local
            return true
        }
        if let index = addresses.indices.first(where: { !addresses[$0].isActive && !isAddressUsed(UInt16($0)) }) {
            addresses[index] = local
            return true
        }
        guard addresses.count < Int(UInt16.max), context.budget.reserve(MemoryLayout<LocalAddress>.stride) else {
            return false
        }
        addresses.append(local)
        return true
    }

    /// Takes an address away. Its connections hear nothing any more and end by their timers.
    public mutating func removeAddress(_ address: IPAddress, on interface: InterfaceID = .first) {
        if let index = localIndex(address, on: interface) { addresses[Int(index)].isActive = false }
    }

    /// Whether new connections should take another address if there is one (RFC 4862 §5.5.4).
    public mutating func setDeprecated(
        _ isDeprecated: Bool, _ address: IPAddress, on interface: InterfaceID = .first
    ) {
        if let index = localIndex(address, on: interface) { addresses[Int(index)].isDeprecated = isDeprecated }
    }

    /// Whether anything still goes by this address, which was taken away. Its cost grows with the number of connections.
    private func isAddressUsed(_ index: UInt16) -> Bool {
        var slot = tables.connections.next(from: 0)
        while let found = slot {
            if tables.connections[found].key.local == index { return true }
            slot = tables.connections.next(from: found &+ 1)
        }
        slot = tables.entries.next(from: 0)
        while let found = slot {
            if tables.entries[found].key.local == index { return true }
            slot = tables.entries.next(from: found &+ 1)
        }
        slot = udp.sockets.next(from: 0)
        while let found = slot {
            if udp.sockets[found].key.local == index { return true }
            slot = udp.sockets.next(from: found &+ 1)
        }
        slot = fragments.datagrams.next(from: 0)
        while let found = slot {
            if fragments.datagrams[found].key.local == index { return true }
            slot = fragments.datagrams.next(from: found &+ 1)
        }
        let link = Int(addresses[Int(index)].interface.index)
        return !interfaces[link].messages[0].isEmpty || !interfaces[link].messages[1].isEmpty
            || interfaces[link].control.waiting.contains { $0.key.local == index }
    }

    func localIndex(_ address: IPAddress, on interface: InterfaceID) -> UInt16? {
        for index in 0..<addresses.count
        where addresses[index].prefix.address == address && addresses[index].interface == interface {
            return addresses[index].isActive ? UInt16(index) : nil
        }
        return nil
    }

    /// The same by any link.
    func localIndex(_ address: IPAddress) -> UInt16? {
        for index in 0..<addresses.count where addresses[index].prefix.address == address && addresses[index].isActive {
            return UInt16(index)
        }
        return nil
    }

    func localAddress(_ key: FlowKey) -> IPAddress { addresses[Int(key.local)].prefix.address }

    /// The link that packets of this flow leave by.
    func interface(of key: FlowKey) -> Int { Int(addresses[Int(key.local)].interface.index) }

    /// Whether `address` is no unicast address here (RFC 1122 §3.2.1.3).
    func isBroadcastOrMulticast(_ address: IPAddress) -> Bool {
        if address.isMulticast || address.isLimitedBroadcast { return true }
        for local in addresses where local.isActive && local.prefix.isBroadcast(address) { return true }
        return false
    }

    // MARK: Source address selection

    /// RFC 6724 §5: the address of that link to speak to `destination` from.
    func selectSource(for destination: IPAddress, on interface: InterfaceID) -> UInt16? {
        var best: Int?
        for index in 0..<addresses.count
        where addresses[index].isActive && addresses[index].interface == interface
            && addresses[index].prefix.address.isIPv4 == destination.isIPv4
        {
            guard let present = best else {
                best = index
                continue
            }
            if isBetterSource(addresses[index], than: addresses[present], for: destination) { best = index }
        }
        return best.map { UInt16($0) }
    }

    /// Rules 1, 2, 3, 6 and 8; rule 5 is the choice of the link, and home and temporary addresses there are none.
    private func isBetterSource(
        _ left: LocalAddress, than right: LocalAddress, for destination: IPAddress
    ) -> Bool {
        let (a, b) = (left.prefix.address, right.prefix.address)
        if a == destination || b == destination { return a == destination }
        if a.scope != b.scope {
            // The smaller scope that reaches; failing that, the larger.
            return a.scope < b.scope ? a.scope >= destination.scope : b.scope < destination.scope
        }
        if left.isDeprecated != right.isDeprecated { return right.isDeprecated }
        let label = destination.policyLabel
        if (a.policyLabel == label) != (b.policyLabel == label) { return a.policyLabel == label }
        // RFC 6724 §2.2: no farther than the source's own prefix.
        let common = min(a.commonPrefixLength(with: destination), left.prefix.length)
        return common > min(b.commonPrefixLength(with: destination), right.prefix.length)
    }
}
