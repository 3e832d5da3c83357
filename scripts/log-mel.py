#!/usr/bin/env python3
"""Writes the log-mel features that torchaudio 2.11 computes in float64, for test/data/formats/audio/features.test.ts: log-mel.py OUT."""

import sys, torch, torchaudio, json, math
torch.set_default_dtype(torch.float64)
out=[]
for rate,win,hop,mels,lo,hi,n in [(16000,640,320,40,20,8000,16000),(16000,400,160,64,60,7600,8000),(8000,200,80,23,0,4000,1600),(22050,450,147,10,100,9000,3000)]:
    x=torch.tensor([0.5*math.sin(t*t*1e-4)+0.1*math.cos(t*0.37) for t in range(n)],dtype=torch.float64)
    t=torchaudio.transforms.MelSpectrogram(rate,n_fft=win,win_length=win,hop_length=hop,f_min=lo,f_max=hi,n_mels=mels,center=False,power=2.0,norm=None,mel_scale='htk',window_fn=lambda n:torch.hann_window(n,dtype=torch.float64))
    t.mel_scale.fb=torchaudio.functional.melscale_fbanks(win//2+1,float(lo),float(hi),mels,rate).double()
    f=torch.log(torch.clamp(t(x),min=1e-6))
    # all bands of a few frames
    fr=[0,f.shape[1]//2,f.shape[1]-1]
    out.append(dict(sampleRate=rate,window=win,hop=hop,mels=mels,lowest=lo,highest=hi,samples=n,frames=f.shape[1],chosen=fr,values=[[round(v,7) for v in f[:,k].tolist()] for k in fr]))
json.dump(out,open(sys.argv[1],'w'))
