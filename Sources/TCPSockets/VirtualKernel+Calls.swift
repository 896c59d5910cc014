import TCPStack
import TCPWire

extension VirtualKernel {
    /// Carries out a call, or as much as can be done of it now; `nil` when it must wait.
    func perform(_ pending: PendingCall) throws(Errno) -> CallResult? {
        throw .ENOSYS
    }

    /// What the stack reports.
    func take(_ event: StackEvent) {}

    /// What pollers wait for may have come.
    func noteReadiness() {}
}
