# The configuration of the forum thread, as it was posted: read by `subbyte explain`, never run.
fake_quant_act = torch.ao.quantization.FakeQuantize.with_args(
    observer=torch.ao.quantization.MovingAverageMinMaxObserver.with_args(
        quant_min=0,
        quant_max=2 ** bits - 1,
        dtype=torch.quint8,
        qscheme=torch.per_tensor_affine,
        reduce_range=True))
fake_quant_weight = torch.ao.quantization.FakeQuantize.with_args(
    observer=torch.ao.quantization.MovingAveragePerChannelMinMaxObserver.with_args(
        quant_min=-(2 ** bits) // 2,
        quant_max=(2 ** bits) // 2 - 1,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
        reduce_range=False,
        ch_axis=0))
qconfig = torch.ao.quantization.QConfig(activation=fake_quant_act, weight=fake_quant_weight)
